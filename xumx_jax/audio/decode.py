"""Read audio files of any format, block by block or whole; cut or damaged files are errors."""

import io
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from xumx_jax.audio import ffmpeg
from xumx_jax.audio.containers import NO_TAGS, Tags, open_binary, tags_of, told
from xumx_jax.errors import UserError, warn

# What libsndfile reads exactly; in other formats it takes headers of blocks for samples, and does
# not know what encoders put in front. The rest goes to FFmpeg.
_EXACT = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "SVX", "AU", "CAF", "FLAC", "OGG")
_MPEG_IN_WAV = (0x50, 0x55)
# {libsndfile's name of an uncompressed coding: bytes of a sample}
_BYTES = dict(PCM_S8=1, PCM_U8=1, ULAW=1, ALAW=1, PCM_16=2, PCM_24=3, PCM_32=4, FLOAT=4, DOUBLE=8)
_LITTLE = ("WAV", "WAVEX", "RF64", "W64")  # formats whose samples usually begin with the low byte
_BLOCK = 1 << 18
_AT_ONCE = 1 << 26  # values to reserve memory for because a header says so


def decode(path, start=0.0, duration=None, allow_truncated=False) -> tuple[np.ndarray, int]:
    """Read an audio file of any format -> (wave [channel, time], rate); see `open_blocks`."""
    with open_blocks(path, start, duration, allow_truncated) as blocks:
        room = min(blocks.length or 0, _AT_ONCE // blocks.channels)
        wave = np.empty((blocks.channels, room), np.float32)
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
    header states, unless `allow_truncated` makes that a warning. A binary file that is open
    already, with a `name`, is taken in place of a path, and left open; such a file may have an
    `error`, a UserError, which is raised in place of what its missing bytes lead to.
    """
    check_range(start, duration)
    given = path if hasattr(path, "read") and hasattr(path, "name") else None
    if given is None and not isinstance(path, str | os.PathLike):
        raise UserError(f"got {type(path).__name__}; wanted the path of an audio file")
    path = Path(path) if given is None else str(given.name)
    with ExitStack() as stack:
        with _trusting(given), told(path):
            file = stack.enter_context(open_binary(path)) if given is None else given
            kept = tags_of(file) if tags else NO_TAGS
            opened = _open(path, file, stack, allow_truncated)
            rate, channels, whole, read, seconds = opened
            first = round(start * rate)
            stop = None if duration is None else first + max(1, round(duration * rate))
            length, estimate = None, 0
            if whole is not None:
                length = max(0, (whole if stop is None else min(whole, stop)) - first)
            else:
                seconds = max(0.0, seconds - start)
                estimate = round(rate * min(seconds, duration or seconds))
            blocks = _from(path, given, rate, first, read(first, stop))
        yield AudioStream(rate, channels, length, blocks, kept, estimate)


def check_range(start, duration):
    """Raise UserError unless `start` and `duration` make sense."""
    if not (isfinite(start) and start >= 0):
        raise UserError(f"start is {start}; wanted 0 or more seconds")
    if duration is not None and not (isfinite(duration) and duration > 0):
        raise UserError(f"duration is {duration}; wanted more than 0 seconds")


@contextmanager
def _trusting(file):
    """Raise the `error` of an open file, if it has one, in place of any other."""
    try:
        yield
    except UserError as error:
        raise getattr(file, "error", None) or error from None
    if error := getattr(file, "error", None):
        raise error


def _from(path, file, rate, first, blocks):
    """Pass the blocks on; no block at all is an error if the file ends before sample `first`."""
    some = False
    with _trusting(file), told(path):
        for block in blocks:
            if block.shape[1]:
                some = True
                yield block
    if first and not some:
        raise UserError(f"{path}: ends before {first / rate:g} s; use an earlier start")


def _open(path, file, stack, allow_truncated):
    """Open with the library that reads it best -> what `ffmpeg.open_file` returns."""
    file.seek(0)
    magic = file.read(4)
    ours = not (allow_truncated and magic == b"fLaC")  # FFmpeg decodes more if it is cut short
    if magic == b"OggS":
        from xumx_jax.audio import ogg

        pages = ogg.read_pages(file)
        if len(pages.links) > 1:
            return ogg.open_file(path, file, stack, allow_truncated, pages.links, _open)
        # FFmpeg loses the beginning of a Vorbis stream that fits into one page
        ours = pages.vorbis and pages.streams == 1 and not pages.cut
    if ours and (opened := _open_soundfile(path, file, stack, allow_truncated)) is not None:
        return opened
    return ffmpeg.open_file(path, file, stack, allow_truncated)


class Exact(NamedTuple):
    """A file that libsndfile has opened.

    `stated` is the number of samples by the header, None if some that are compressed have been cut
    off; `remark` is what is odd about the header.
    """

    sound: Any
    stated: int | None
    remark: str = ""


def open_exactly(file) -> Exact | None:
    """Open with libsndfile, if it reads the samples as they are, whatever a WAV header says."""
    file.seek(0)
    magic = file.read(4)
    if magic[:3] == b"ID3" or (magic[:1] == b"\xff" and magic[1:2] >= b"\xe0"):
        return None  # MPEG, whose decoder in libsndfile prints what it thinks of the file
    if magic in (b"fLaC", b"OggS"):
        sound = _soundfile(file)
        return None if sound is None else Exact(sound, sound.frames)
    from xumx_jax.audio import riff, window

    header, wav = riff.read_sound(file), riff.read_wav(file)
    if wav is not None and wav.coding in _MPEG_IN_WAV:
        return None
    sound = _soundfile(file)
    if header is None:
        return None if sound is None else Exact(sound, sound.frames)
    if sound is None:  # it refuses the header
        if wav is None or wav.subtype is None:
            return None
        rate, channels, subtype, endian = wav.rate, wav.channels, wav.subtype, wav.endian
    elif sound.subtype not in _BYTES:
        few = header.there // 8 if header.repaired else 0  # no coding gets by with that
        if sound.frames * sound.channels < few:
            sound.close()  # it believes the header
            sound = _soundfile(window.with_length(file, header))
            if sound is None or sound.frames * sound.channels < few:
                return None
        return Exact(sound, None if header.missing else sound.frames, header.remark)
    else:
        usual = "LITTLE" if sound.format in _LITTLE else "BIG"
        endian = usual if sound.endian == "FILE" else sound.endian
        rate, channels, subtype = sound.samplerate, sound.channels, sound.subtype
    each = channels * _BYTES[subtype]
    if sound is None or (header.repaired and sound.frames != header.there // each):
        if sound is not None:
            sound.close()
        form = dict(samplerate=rate, channels=channels, subtype=subtype, endian=endian)
        sound = _soundfile(window.Window(file, header.offset, header.there), format="RAW", **form)
        if sound is None:
            return None
    stated = (header.there + header.missing) // each
    return Exact(sound, max(sound.frames, stated), header.remark)


def _soundfile(file, **form) -> Any:
    """Open with libsndfile; None if it cannot, or reads the format less well than FFmpeg."""
    import soundfile

    file.seek(0)
    # with a descriptor libsndfile reads the file without going through Python
    real = isinstance(file, io.FileIO)
    try:
        sound = soundfile.SoundFile(file.fileno() if real else file, closefd=False, **form)
    except soundfile.LibsndfileError:
        return None
    # a FLAC from a pipe states no length
    if (sound.format in _EXACT or form) and sound.frames < 2**62:
        return sound
    sound.close()
    return None


def _open_soundfile(path, file, stack, allow_truncated):
    """Open with libsndfile -> what `ffmpeg.open_file` returns, or None if that should do it."""
    import soundfile

    if (opened := open_exactly(file)) is None:
        return None
    sound, stated, remark = opened
    stack.enter_context(sound)
    frames: int = sound.frames

    def read(first, stop):
        if remark:
            warn(f"{path}: {remark}")
        end = (stated or frames) if stop is None else min(stop, stated or frames)
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
        elif stated is None and stop is None:
            ffmpeg.report_truncation(path, at, None, allow_truncated)

    return sound.samplerate, sound.channels, frames, read, 0.0
