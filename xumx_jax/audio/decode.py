"""Audio files of any format, block by block or whole; one that is cut or damaged is an error."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import numpy as np

from xumx_jax.audio import ffmpeg, headers
from xumx_jax.errors import UserError

# libsndfile reads these exactly; everything else, compressed WAV included, goes to FFmpeg (PyAV).
_SOUNDFILE_MAGIC = (b"RIFF", b"RF64", b"fLaC", b"FORM")
_BLOCK = 1 << 18
_AT_ONCE = 1 << 26  # samples to make room for on the word of a header


def check_file(path) -> bytes:
    """Raise UserError unless `path` is a file with something in it; returns its first 4 bytes."""
    try:
        with open(path, "rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; wanted an audio file") from None
    if not magic:
        raise UserError(f"{path}: the file is empty (0 bytes); wanted an audio file")
    return magic


def decode(path, start=0.0, duration=None, allow_truncated=False) -> tuple[np.ndarray, int]:
    """Read an audio file of any format -> (wave [channel, time], rate); see `open_blocks`."""
    with open_blocks(path, start, duration, allow_truncated) as blocks:
        wave = np.empty((blocks.channels, min(blocks.frames or 0, _AT_ONCE)), np.float32)
        end = 0
        for block in blocks:
            at, end = end, end + block.shape[1]
            if end > wave.shape[1]:
                grown = np.empty((len(wave), max(end, 3 * at // 2)), np.float32)
                grown[:, :at] = wave[:, :at]
                wave = grown
            wave[:, at:end] = block
        return np.ascontiguousarray(wave[:, :end]), blocks.rate


@dataclass
class Blocks:
    """An open file: iterate over it for float32 [channel, time], of any length but 0.

    `frames` is the number of samples to come as far as the file states it, else None; in lossy
    formats it may be a little off.
    """

    rate: int
    channels: int
    frames: int | None
    blocks: Iterator[np.ndarray]

    def __iter__(self):
        return self.blocks


@contextmanager
def open_blocks(path, start=0.0, duration=None, allow_truncated=False):
    """Open an audio file of any format as `Blocks`, in a `with`.

    Of several streams (stems in one .mp4) the first is taken. Reads from `start` seconds on, for
    `duration` seconds or to the end if that comes sooner. Raises UserError, here or while blocks
    are read, for a file that is missing, no audio, over before `start`, or that ends before the
    length that its own header states, unless `allow_truncated` makes that a warning.
    """
    check_range(start, duration)
    path = Path(path)
    magic = check_file(path)
    with ExitStack() as stack:
        opened, pages = None, headers.ogg_pages(path)
        # FFmpeg loses the beginning of a Vorbis stream that fits into one page, and libsndfile
        # everything after the first of several streams.
        ours = magic in _SOUNDFILE_MAGIC or (pages.vorbis and pages.streams == 1 and not pages.cut)
        # Of FLAC that is cut short, FFmpeg gives more.
        if ours and not (allow_truncated and magic == b"fLaC"):
            opened = _open_soundfile(path, stack, allow_truncated)
        if opened is None:
            opened = ffmpeg.open_file(path, stack, allow_truncated)
        rate, channels, length, read = opened
        first = round(start * rate)
        stop = None if duration is None else first + max(1, round(duration * rate))
        if length is None:
            frames = None
        else:
            frames = max(0, (length if stop is None else min(length, stop)) - first)
        yield Blocks(rate, channels, frames, _from(path, rate, first, read(first, stop)))


def check_range(start, duration):
    """Raise UserError unless these seconds make sense."""
    if not (isfinite(start) and start >= 0):
        raise UserError(f"start is {start}; wanted 0 or more seconds")
    if duration is not None and not (isfinite(duration) and duration > 0):
        raise UserError(f"duration is {duration}; wanted more than 0 seconds")


def _from(path, rate, first, blocks):
    """Pass the blocks on; that there are none is an error if the file is over before `first`."""
    some = False
    for block in blocks:
        if block.shape[1]:
            some = True
            yield block
    if first and not some:
        raise UserError(f"{path}: is over before {first / rate:g} s; wanted an earlier start")


def _open_soundfile(path, stack, allow_truncated):
    """Open with libsndfile -> (rate, channels, samples, reader), or None if it cannot.

    `reader(first, stop)` yields blocks from sample `first` up to `stop` or the end.
    """
    import soundfile

    try:
        file = stack.enter_context(soundfile.SoundFile(os.fsencode(path)))
    except soundfile.LibsndfileError:
        return None
    frames = file.frames
    if frames >= 2**62:  # FLAC written to a pipe: the header states no length
        return None

    def read(first, stop):
        stated = max(frames, headers.riff_frames(path))
        end = stated if stop is None else min(stop, stated)
        if frames < end:
            ffmpeg.tell_cut(path, frames, stated, allow_truncated)
            end = frames
        at = min(first, end)
        try:
            if at:
                file.seek(at)
            while at < end:
                block = file.read(min(_BLOCK, end - at), dtype="float32", always_2d=True)
                if not len(block):
                    break
                at += len(block)
                yield np.ascontiguousarray(block.T)
        except soundfile.LibsndfileError:
            pass
        if at < end:
            ffmpeg.tell_cut(path, at, stated, allow_truncated)

    return file.samplerate, file.channels, frames, read
