"""Reads TensorBoard's event files without TensorBoard."""

import struct
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import masked_crc32c


def read_events(folder: Path) -> list[Event]:
    """All events of a folder's files, by order of name; their checksums are right."""
    found = []
    for path in sorted(folder.glob("events.out.tfevents.*")):
        data = path.read_bytes()
        while data:
            length, check = struct.unpack("<QI", data[:12])
            body, after = data[12 : 12 + length], data[12 + length :]
            assert check == masked_crc32c(data[:8])
            assert struct.unpack("<I", after[:4])[0] == masked_crc32c(body)
            found.append(Event.FromString(body))
            data = after[4:]
    return found


def values(folder: Path) -> dict[str, list[tuple[int, object]]]:
    """{tag: [(step, number, image or audio)]}."""
    found: dict = {}
    for event in read_events(folder):
        for value in event.summary.value:
            what = getattr(value, value.WhichOneof("value"))
            found.setdefault(value.tag, []).append((event.step, what))
    return found
