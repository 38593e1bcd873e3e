"""The files with a run's history: lines of JSON, and TensorBoard's events."""

# pyright: reportAttributeAccessIssue=false
# protobuf makes the classes of its modules when these are imported

import errno
import json
import math
import os
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from xumx_jax.training.monitor import pictures


def plain(value):
    """Turn NumPy and JAX values into JSON values; numbers that are not finite become null."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def read_metrics(path: str | Path) -> Iterator[dict]:
    """Yield the records of a `metrics.jsonl`; an incomplete line is skipped.

    A run that was killed repeats the steps since its last checkpoint: if a step has two records,
    the later one counts (on one device they are equal except for the clock).
    """
    with open(path, "rb") as file:
        for line in file:
            with suppress(ValueError):
                yield json.loads(line)


class Lines:
    """Appends records to a file, one line and one write each: a kill can cut only the last."""

    def __init__(self, path: Path):
        self.path, self.file, self.whole = path, None, True

    def write(self, record: dict) -> None:
        """Append one line, on a new line even if the last one was cut. Raises OSError."""
        if self.file is None:
            self.file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
            size = os.fstat(self.file).st_size
            self.whole = size == 0 or os.pread(self.file, 1, size - 1) == b"\n"
        line = json.dumps(plain(record), allow_nan=False, default=str).encode() + b"\n"
        line = line if self.whole else b"\n" + line
        written = os.write(self.file, line)
        self.whole = written == len(line)
        if not self.whole:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def close(self) -> None:
        if self.file is not None:
            os.close(self.file)
            self.file = None


class Board:
    """Appends scalars, pictures and sounds to a TensorBoard event file, opened when first used.

    Only tensorboardX's format is used: its SummaryWriter passes events to a thread, and once
    that has died because the disk is full, later calls wait for it forever.
    """

    FLUSH_SECONDS = 10

    def __init__(self, folder: Path):
        self.folder, self.flushed = folder, 0.0
        self.file: Any = None

    def open(self, step: int) -> None:
        """Begin a file. TensorBoard then drops what earlier files say about later steps."""
        from tensorboardX import RecordWriter
        from tensorboardX.proto.event_pb2 import SessionLog

        self.folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads by order of name; the last part tells starts within a second apart
        seconds, rest = divmod(time.time_ns(), 10**9)
        name = f"events.out.tfevents.{seconds}.{socket.gethostname()}.{rest:09d}"
        self.file = RecordWriter(str(self.folder / name))
        self._event(file_version="brain.Event:2")
        self._event(step=step, session_log=SessionLog(status=SessionLog.START))

    def _event(self, **fields) -> None:
        from tensorboardX.proto.event_pb2 import Event

        self.file.write(Event(wall_time=time.time(), **fields).SerializeToString())

    def _write(self, step: int, values: list, flush: bool) -> None:
        from tensorboardX.proto.summary_pb2 import Summary

        try:
            if self.file is None:
                self.open(step)
            self._event(step=step, summary=Summary(value=values))
            if flush or time.monotonic() - self.flushed > self.FLUSH_SECONDS:
                self.file.flush()  # pyright: ignore[reportOptionalMemberAccess]
                self.flushed = time.monotonic()
        except OSError:  # what follows half an event cannot be read: the next goes to a new file
            with suppress(OSError):
                self.close()
            raise

    def scalars(self, step: int, values: dict[str, float], flush: bool = False) -> None:
        """Write numbers by tag. Raises OSError, like the other methods."""
        from tensorboardX.proto.summary_pb2 import Summary

        named = [Summary.Value(tag=t, simple_value=float(v)) for t, v in values.items()]
        self._write(step, named, flush)

    def images(self, step: int, values: dict[str, np.ndarray]) -> None:
        """Write pictures [row, column, RGB] by tag."""
        from tensorboardX.proto.summary_pb2 import Summary

        named = []
        for tag, picture in values.items():
            height, width, colours = picture.shape
            data = pictures.png(picture)
            image = {"height": height, "width": width, "colorspace": colours}
            named += [Summary.Value(tag=tag, image=image | {"encoded_image_string": data})]
        self._write(step, named, flush=True)

    def sounds(self, step: int, values: dict[str, np.ndarray], rate: int) -> None:
        """Write waves [channel, time] by tag."""
        from tensorboardX.proto.summary_pb2 import Summary

        named = []
        for tag, wave in values.items():
            audio = {"sample_rate": rate, "num_channels": len(wave), "length_frames": wave.shape[1]}
            audio |= {"encoded_audio_string": pictures.wav(wave, rate), "content_type": "audio/wav"}
            named += [Summary.Value(tag=tag, audio=audio)]
        self._write(step, named, flush=True)

    def close(self) -> None:
        if self.file is not None:
            file, self.file = self.file, None
            file.close()
