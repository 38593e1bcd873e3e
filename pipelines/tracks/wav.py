"""Read headers of audio files, and excerpts at any position, safely from many threads.

16-bit WAV (MUSDB18-HQ, the generator, decoded STEMS) is read straight from the file into the
caller's memory, without decoding; other formats that libsndfile reads are about ten times as slow,
because of its seeks.
"""

import os
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from xumx_jax import files
from xumx_jax.errors import UserError

SUFFIXES = (".wav", ".flac")
PCM, EXTENSIBLE = 1, 0xFFFE
UNKNOWN_BYTES = 0x7FFFF000  # from here on a length in a header may mean "written to a pipe"
FULL_SCALE = 32768


@dataclass(frozen=True)
class File:
    """One audio file and the position of its samples.

    `offset` is the byte of the first sample of a plain 16-bit WAV; None: use soundfile. `size`
    (bytes) and `changed` (mtime, ns) later show whether the file is still the same.
    """

    path: Path
    rate: int
    channels: int
    samples: int
    offset: int | None
    size: int
    changed: int

    @property
    def integer(self) -> bool:
        """Whether it can be read as int16, as stored in the file."""
        return self.offset is not None

    @property
    def identity(self) -> tuple:
        """What identifies it among other files: two names, since the data may move or be cached."""
        return self.path.parts[-2:], self.size, self.changed

    @property
    def digest(self) -> str:
        """SHA-256 of the file."""
        return files.digest(self.path)

    def read_into(self, start: int, out: np.ndarray) -> None:
        """Fill `out` [time, channel] from sample `start` on; all of it must be within the file.

        `out` is C-contiguous: int16 for `integer` files only, or float32 at full scale 1. A mono
        file goes to every channel. Raises UserError if the file is no longer what was probed.
        """
        if not len(out):
            return
        if out.dtype == np.float32 and self.offset is not None:
            integers = np.empty((len(out), self.channels), np.int16)
            _read_pcm16(self, start, integers)
            np.multiply(integers, np.float32(1 / FULL_SCALE), out=out)
            return
        fill = _read_pcm16 if out.dtype == np.int16 else _decode
        if out.shape[1] == self.channels:
            fill(self, start, out)
        else:
            mono = np.empty((len(out), self.channels), out.dtype)
            fill(self, start, mono)
            out[:] = mono


def probe(path) -> File:
    """Read a file's header. Raises UserError if it is not audio, or shorter than it states."""
    path = Path(path)
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            found = _riff(path, file, status.st_size)
        if found is None:
            with soundfile.SoundFile(path) as file:
                found = file.samplerate, file.channels, file.frames, None
                if file.frames:  # a FLAC cut short shows only at its end
                    file.seek(file.frames - 1)
                    if not len(file.read(1)):
                        raise UserError(f"{path}: cut short; wanted {file.frames} samples")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, RuntimeError) as error:
        raise UserError(f"{path}: cannot be read as audio ({_line(error)})") from error
    return File(path, *found, status.st_size, status.st_mtime_ns)


def _riff(path, file, size) -> tuple[int, int, int, int] | None:
    """Parse a WAV header: rate, channels, samples, offset; None if it is not plain 16-bit PCM."""
    head = file.read(12)
    if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return None
    form = None
    while len(chunk := file.read(8)) == 8:
        name, length = struct.unpack("<4sI", chunk)
        if name == b"fmt ":
            form = file.read(length + length % 2)
        elif name == b"data":
            break
        else:
            file.seek(length + length % 2, 1)
    else:
        raise UserError(f"{path}: cut short; wanted a WAV file with a data chunk")
    offset = file.tell()
    if offset + length > size:
        if length < UNKNOWN_BYTES:
            raise UserError(
                f"{path}: cut short; its header promises {length} bytes of samples, "
                f"{size - offset} are there"
            )
        length = size - offset
    if form is None or len(form) < 16:
        return None
    kind, channels, rate, _, block, bits = struct.unpack("<HHIIHH", form[:16])
    if kind == EXTENSIBLE and len(form) >= 26:
        kind = struct.unpack("<H", form[24:26])[0]  # the sub-format's first two bytes
    if kind != PCM or bits != 16 or channels < 1 or block != 2 * channels:
        return None
    return rate, channels, length // block, offset


def _read_pcm16(file: File, start: int, out: np.ndarray) -> None:
    # Opening the file for every read takes microseconds, little beside reading a megabyte, and many
    # files and threads cannot use up the descriptors. A memory map would crash if a file shrinks.
    if file.offset is None:
        raise TypeError(f"{file.path}: not plain 16-bit PCM; read it as float32")
    rest = memoryview(out).cast("B")
    at = file.offset + 2 * file.channels * start
    try:
        descriptor = os.open(file.path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        try:
            _check_unchanged(file, os.fstat(descriptor))
            while len(rest):
                count = os.preadv(descriptor, [rest], at)
                if not count:
                    raise UserError(f"{file.path}: ended early; wanted {file.samples} samples")
                rest, at = rest[count:], at + count
        finally:
            os.close(descriptor)
    except OSError as error:
        raise UserError(f"{file.path}: cannot be read ({_line(error)})") from error


def _decode(file: File, start: int, out: np.ndarray) -> None:
    try:
        _check_unchanged(file, os.stat(file.path))
        with soundfile.SoundFile(file.path) as opened:
            opened.seek(start)
            count = len(opened.read(out=out))
    except (OSError, RuntimeError) as error:
        raise UserError(f"{file.path}: cannot be read ({_line(error)})") from error
    if count < len(out):
        raise UserError(f"{file.path}: ended early; wanted {file.samples} samples")


def _check_unchanged(file: File, status) -> None:
    if (status.st_size, status.st_mtime_ns) != (file.size, file.changed):
        raise UserError(f"{file.path}: changed while in use")


def _line(error) -> str:
    return " ".join(str(error).split())
