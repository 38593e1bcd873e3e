"""Read audio files of any format, block by block or whole; cut or damaged files are errors."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import numpy as np

from xumx_jax.audio import containers, ffmpeg
from xumx_jax.audio.containers import NO_TAGS, Tags, tags_of
from xumx_jax.errors import UserError

# libsndfile reads these exactly; everything else, compressed WAV included, goes to FFmpeg (PyAV).
_SOUNDFILE_MAGIC = (b"RIFF", b"RF64", b"fLaC", b"FORM")
_BLOCK = 1 << 18
_AT_ONCE = 1 << 26  # samples to reserve memory for because a header says so


def check_file(path) -> None:
    """Raise UserError unless `path` is a file that is not empty; it is not opened."""
    try:
        found = os.stat(path)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not os.access(path, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise _unreadable(path, error) from None
    if stat.S_ISREG(found.st_mode) and not found.st_size:
        raise _empty(path)


def _unreadable(path, error) -> UserError:
    return UserError(f"{path}: cannot be read: {error.strerror}; wanted an audio file")


def _empty(path) -> UserError:
    return UserError(f"{path}: the file is empty (0 bytes); wanted an audio file")


def decode(path, start=0.0, duration=None, allow_truncated=False) -> tuple[np.ndarray, int]:
    """Read an audio file of any format -> (wave [channel, time], rate); see `open_blocks`."""
    with open_blocks(path, start, duration, allow_truncated) as blocks:
        wave = np.empty((blocks.channels, min(blocks.length or 0, _AT_ONCE)), np.float32)
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
class AudioStream:
    """Decoded audio: iterate over it once for float32 [channel, time] blocks of any length but 0.

    rate      in hertz
    channels  of every block
    length    number of samples, None if unknown; for lossy formats it may be slightly wrong
    blocks    the iterator
    tags      of the track, to be copied to its stems
    estimate  expected samples where `length` is None, for a progress bar; 0 if unknown
    """

    rate: int
    channels: int
    length: int | None
    blocks: Iterator[np.ndarray]
    tags: Tags = NO_TAGS
    estimate: int = 0

    def __iter__(self):
        return iter(self.blocks)


@contextmanager
def open_blocks(path, start=0.0, duration=None, allow_truncated=False, tags=False):
    """Open an audio file of any format as an `AudioStream`, in a `with` statement.

    If there are several streams (stems in one .mp4), the first is read. Reads from `start` seconds
    on, for `duration` seconds or to the end if that comes sooner; `tags` also reads the tags. The
    file is opened once, for both libraries. Raises UserError, here or while blocks are read, for a
    file that is missing, is not audio, ends before `start`, or ends before the length that its own
    header states, unless `allow_truncated` makes that a warning.
    """
    check_range(start, duration)
    path = Path(path)
    with ExitStack() as stack:
        try:
            # unbuffered, because libsndfile would not know the buffer's position
            file = stack.enter_context(open(path, "rb", buffering=0))
            if not file.seekable():
                raise UserError(f"{path}: is a pipe; use a file (or - in `xumx separate`)")
            magic = file.read(4)
        except OSError as error:
            raise _unreadable(path, error) from None
        if not magic:
            raise _empty(path)
        kept = tags_of(file) if tags else NO_TAGS
        opened, pages = None, containers.ogg_pages(file)
        # FFmpeg loses the beginning of a Vorbis stream that fits into one page, and libsndfile
        # everything after the first of several streams.
        ours = magic in _SOUNDFILE_MAGIC or (pages.vorbis and pages.streams == 1 and not pages.cut)
        # FFmpeg decodes more of a FLAC that is cut short.
        if ours and not (allow_truncated and magic == b"fLaC"):
            opened = _open_soundfile(path, file, stack, allow_truncated)
        if opened is None:
            opened = ffmpeg.open_file(path, file, stack, allow_truncated)
        rate, channels, whole, read, seconds = opened
        first = round(start * rate)
        stop = None if duration is None else first + max(1, round(duration * rate))
        length, estimate = None, 0
        if whole is not None:
            length = max(0, (whole if stop is None else min(whole, stop)) - first)
        else:
            seconds = max(0.0, seconds - start)
            estimate = round(rate * min(seconds, duration or seconds))
        blocks = _from(path, rate, first, read(first, stop))
        yield AudioStream(rate, channels, length, blocks, kept, estimate)


def check_range(start, duration):
    """Raise UserError unless `start` and `duration` make sense."""
    if not (isfinite(start) and start >= 0):
        raise UserError(f"start is {start}; wanted 0 or more seconds")
    if duration is not None and not (isfinite(duration) and duration > 0):
        raise UserError(f"duration is {duration}; wanted more than 0 seconds")


def _from(path, rate, first, blocks):
    """Pass the blocks on; no block at all is an error if the file ends before sample `first`."""
    some = False
    for block in blocks:
        if block.shape[1]:
            some = True
            yield block
    if first and not some:
        raise UserError(f"{path}: ends before {first / rate:g} s; use an earlier start")


def _open_soundfile(path, file, stack, allow_truncated):
    """Open with libsndfile -> what `ffmpeg.open_file` returns, or None if it cannot."""
    import soundfile

    stated = containers.riff_frames(file)
    # libsndfile reads on from the file's position, so nothing else may move it from now on
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    try:
        sound = stack.enter_context(soundfile.SoundFile(file.fileno(), closefd=False))
    except soundfile.LibsndfileError:
        return None
    frames = sound.frames
    if frames >= 2**62:  # FLAC written to a pipe: the header states no length
        return None
    stated = max(frames, stated)

    def read(first, stop):
        end = stated if stop is None else min(stop, stated)
        if frames < end:
            ffmpeg.report_truncation(path, frames, stated, allow_truncated)
            end = frames
        at = min(first, end)
        try:
            if at:
                sound.seek(at)
            while at < end:
                block = sound.read(min(_BLOCK, end - at), dtype="float32", always_2d=True)
                if not len(block):
                    break
                at += len(block)
                yield np.ascontiguousarray(block.T)
        except soundfile.LibsndfileError:
            pass
        if at < end:
            ffmpeg.report_truncation(path, at, stated, allow_truncated)

    return sound.samplerate, sound.channels, frames, read, 0.0
