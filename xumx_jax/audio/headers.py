"""Read what the headers of audio files state, since libraries repair or guess their contents.

All functions take a seekable binary file and may leave it at any position.
"""

import os
from dataclasses import dataclass


def riff_frames(file) -> int:
    """Length in samples that the header of a PCM or float WAV states, 0 if it states none."""
    file.seek(0)
    head = file.read(12)
    if head[:4] not in (b"RIFF", b"RF64") or head[8:12] != b"WAVE":
        return 0
    bytes_64 = bytes_each = 0
    while len(chunk := file.read(8)) == 8:
        name, size = chunk[:4], int.from_bytes(chunk[4:], "little")
        if name == b"data":
            if size == 0xFFFFFFFF and bytes_64:
                size = bytes_64
            elif size >> 16 in (0x7FFF, 0xFFFF):  # from a pipe: the length was not known
                return 0
            return size // bytes_each if bytes_each else 0
        body = file.read(min(size + size % 2, 64))
        file.seek(size + size % 2 - len(body), os.SEEK_CUR)
        if name == b"ds64":
            bytes_64 = int.from_bytes(body[8:16], "little")
        if name == b"fmt " and int.from_bytes(body[:2], "little") in (1, 3, 0xFFFE):
            bytes_each = int.from_bytes(body[12:14], "little")
    return 0


@dataclass(frozen=True)
class Pages:
    """What is known of an Ogg file: its streams, whether the first is Vorbis, whether it ends."""

    streams: int = 0
    vorbis: bool = False
    cut: bool = False


def ogg_pages(file) -> Pages:
    """Walk over the pages of an Ogg file, which states no length; `Pages()` if it is none."""
    file.seek(0)
    streams, vorbis = 0, False
    if file.read(4) != b"OggS":
        return Pages()
    size, at = os.fstat(file.fileno()).st_size, 0
    while at < size:
        file.seek(at)
        head = file.read(27)
        lengths = file.read(head[26]) if len(head) == 27 else b""
        if len(head) < 27 or len(lengths) < head[26]:
            return Pages(streams, vorbis, cut=True)
        if head[:4] != b"OggS":  # something appended, or damage that decoders step over
            break
        if head[5] & 2:  # the first page of a stream
            vorbis = vorbis or (not streams and file.read(7) == b"\x01vorbis")
            streams += 1
        at += 27 + len(lengths) + sum(lengths)
    return Pages(streams, vorbis, cut=at > size)


def mp3_states_length(file) -> bool:
    """Whether an MP3 opens with a Xing/Info tag, which counts its frames."""
    file.seek(0)
    head = file.read(10)
    skip = 0
    if head[:3] == b"ID3":
        # four times seven bits
        skip = 10 + sum(b << s for b, s in zip(head[6:10], (21, 14, 7, 0), strict=True))
    file.seek(skip)
    first = file.read(2048)
    return b"Xing" in first or b"Info" in first
