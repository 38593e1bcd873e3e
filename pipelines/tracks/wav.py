"""Read headers of audio files, and excerpts at any position, safely from many threads.

16-bit WAV (MUSDB18-HQ, the generator, decoded STEMS) is read straight from the file into the
caller's memory, without decoding; other formats that libsndfile reads are about ten times as slow,
because of its seeks.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xumx_jax import files
from xumx_jax.audio import riff
from xumx_jax.audio.containers import open_binary, told
from xumx_jax.audio.decode import open_exactly
from xumx_jax.errors import UserError, warn

SUFFIXES = (".wav", ".flac")
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
    if not os.path.lexists(path):
        raise UserError(f"{path}: no such file")
    with told(path), open_binary(path) as file:
        status = os.fstat(file.fileno())
        found = _probe_pcm16(path, file) or _probe_others(path, file)
    return File(path, *found, status.st_size, status.st_mtime_ns)


def _probe_pcm16(path, file) -> tuple[int, int, int, int] | None:
    """Rate, channels, samples, offset; None if the samples cannot be used as they are."""
    wav = riff.read_wav(file)
    if wav is None or (wav.subtype, wav.endian) != ("PCM_16", "LITTLE"):
        return None
    sound = wav.sound
    _check_whole(path, sound.there // wav.block, (sound.there + sound.missing) // wav.block)
    if sound.remark:
        warn(f"{path}: {sound.remark}")
    return wav.rate, wav.channels, sound.there // wav.block, sound.offset


def _probe_others(path, file) -> tuple[int, int, int, None]:
    opened = open_exactly(file)
    if opened is None:
        raise UserError(f"{path}: cannot be read as audio; wanted WAV or FLAC that states a length")
    sound, stated, remark = opened
    with sound:
        _check_whole(path, sound.frames, sound.frames + 1 if stated is None else stated)
        if remark:
            warn(f"{path}: {remark}")
        if sound.frames:  # a FLAC cut short shows only at its end
            sound.seek(sound.frames - 1)
            if not len(sound.read(1)):
                raise UserError(f"{path}: cut short; wanted {sound.frames} samples")
        return sound.samplerate, sound.channels, sound.frames, None


def _check_whole(path, there, promised):
    if there < promised:
        raise UserError(
            f"{path}: cut short; its header promises {promised} samples, {there} are there"
        )


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
        with open_binary(file.path) as binary:
            opened = open_exactly(binary)
            if opened is None:
                raise UserError(f"{file.path}: changed while in use")
            with opened[0] as sound:
                sound.seek(start)
                count = len(sound.read(out=out))
    except (OSError, RuntimeError) as error:
        raise UserError(f"{file.path}: cannot be read ({_line(error)})") from error
    if count < len(out):
        raise UserError(f"{file.path}: ended early; wanted {file.samples} samples")


def _check_unchanged(file: File, status) -> None:
    if (status.st_size, status.st_mtime_ns) != (file.size, file.changed):
        raise UserError(f"{file.path}: changed while in use")


def _line(error) -> str:
    return " ".join(str(error).split())
