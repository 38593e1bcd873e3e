"""Files of a job that is done, in any format and balance, made of its floats when asked for.

They are what `xumx separate` would have written, bit for bit, since they are made of the samples
that it encodes, in the same pieces, by the same code and with the same rule for the gain. (But for
the serial number of an Ogg file, which its encoders draw at random each time.)
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from weakref import WeakValueDictionary

import numpy as np

from xumx_jax import files
from xumx_jax.audio.containers import WavFile, file_bytes
from xumx_jax.audio.encode import StemWriter, gain_for
from xumx_jax.audio.formats import BITRATES, BITS, check_format, check_signal, is_float, storable
from xumx_jax.errors import UserError, collected
from xumx_jax.web.balance import Balance
from xumx_jax.web.errors import Gone, shown
from xumx_jax.web.floats import read_tags
from xumx_jax.web.jobs import Result

MOST_KEPT = 8  # formats of a job's stems that are kept beside the first: they take space
_PIECE = 1 << 18  # bytes
_ENCODED = "as-"  # what the names of folders of encoded stems begin with


@dataclass(frozen=True)
class Download:
    """A file that is sent once: `size` in bytes, and its content in pieces."""

    size: int
    pieces: Iterator[bytes]


_naming = Lock()
_locks = WeakValueDictionary()  # {file that is being made: its lock}


def _lock(path: Path):
    with _naming:
        return _locks.setdefault(path, Lock())


def encoded(
    folder: Path,
    result: Result,
    stem: str,
    format: str = "wav",
    bits: str | None = None,
    bitrate: int | None = None,
    check: Callable[[], object] = lambda: None,
) -> Path:
    """Return the file of a whole stem, which is made unless it is there, and kept.

    `check` is called between blocks and may raise. Whoever asks for a file that is being made waits
    for it. Of the formats that were asked for, MOST_KEPT are kept. Raises UserError with a line
    that names no folder, and `Gone`.
    """
    check_format(format, bits, bitrate)
    balance = Balance({stem: (1.0, 0.0)})
    balance.check(result)
    kind = bits or BITS.get(format, ("",))[0] or str(bitrate or BITRATES[format][0])
    if (format, kind) == ("wav", "16"):
        return folder / f"{stem}.wav"
    place = folder / f"{_ENCODED}{format}-{kind}"
    path = place / f"{stem}.{format}"

    def make():
        _make_room(folder, place)
        _write(path, balance, folder, result, result.gain, (format, bits, bitrate), check)

    return kept(folder, result, path, make)


def kept(folder: Path, result: Result, path: Path, make: Callable[[], object]) -> Path:
    """Return a file of a job's folder, made by `make()` unless it is there.

    Whoever asks for one that is being made waits for it. Raises UserError and Gone.
    """
    with _lock(path):
        if not path.exists():
            with _told(folder, result, path):
                make()
    return path


def mix(
    folder: Path,
    result: Result,
    balance: Balance,
    format: str = "wav",
    bits: str | None = None,
    bitrate: int | None = None,
    check: Callable[[], object] = lambda: None,
    gain: float | None = None,
) -> Download:
    """Make a balance of stems, or a region of one: see `Balance`.

    WAV is computed while it is sent. The headers of other formats state what is known at the end,
    so these are first encoded into a file without a name in the job's folder. If the balance
    exceeds full scale it is attenuated until it does not, as everywhere, except in 32f; a `gain`,
    such as that of the job's stems, replaces this. Nothing is kept. `check`, and errors, are as for
    `encoded`; while WAV is sent, `pieces` raises them.
    """
    check_format(format, bits, bitrate)
    balance.check(result)
    name = "+".join(balance.parts)
    path = folder / files.shortened(f"{name}.{format}")
    with _told(folder, result, path):
        if is_float(format, bits):
            gain = 1.0
        elif gain is None:
            gain = gain_for(_peak(balance.blocks(folder, result), check))
        if format == "wav":
            return _wav(path, balance, folder, result, gain, bits or BITS["wav"][0], check)
        # by its name it would outlive a server that is killed
        with TemporaryDirectory(prefix=".mix-", dir=folder, ignore_cleanup_errors=True) as spool:
            whole = Path(spool, path.name)
            _write(whole, balance, folder, result, gain, (format, bits, bitrate), check)
            file = whole.open("rb")
    return Download(os.fstat(file.fileno()).st_size, _read(file))


def region(
    folder: Path, result: Result, stem: str, start: int, frames: int | None, *form, **more
) -> Download:
    """A part of one stem, at the level that it has in the whole: see `mix`, which has the rest."""
    balance = Balance({stem: (1.0, 0.0)}, start, frames)
    return mix(folder, result, balance, *form, **more, gain=result.gain)


def _peak(blocks, check) -> float:
    peak = 0.0
    for block in blocks:
        check()
        peak = max(peak, float(np.abs(block).max(initial=0)))
    return peak


def _write(path, balance, folder, result, gain, form, check) -> None:
    """Write a balance to a file, which appears once it is complete."""
    writer = StemWriter(
        {"": path},
        *(result.rate, balance.channels(result), *form),
        gain=gain,
        length=balance.length(result),
        tags=read_tags(folder),
    )
    with collected(lambda message: None), writer:  # the job's result has the warnings already
        for block in balance.blocks(folder, result):
            check()
            writer.write({"": block})


def _wav(path, balance, folder, result, gain, bits, check) -> Download:
    """Compute a WAV file while it is sent."""
    channels, frames = balance.channels(result), balance.length(result)
    check_signal(path, result.rate, channels, "wav")
    with collected(lambda message: None):
        tags = storable(read_tags(folder).of_stem(path.stem), "wav")

    def pieces():
        sink = _Sink()
        with _told(folder, result, path):
            writer = WavFile(sink, result.rate, channels, bits, frames, tags)
            for block in balance.blocks(folder, result):
                check()
                writer.write(block if gain == 1 else block * np.float32(gain))
                yield from sink.taken()
            writer.finish()
            yield from sink.taken()

    return Download(file_bytes(frames, channels, bits, tags), pieces())


class _Sink:
    """A file that cannot seek, and hands on what is written to it."""

    def __init__(self):
        self._written: list[bytes] = []

    def write(self, data):
        self._written.append(bytes(data))

    def flush(self):
        pass

    def seekable(self):
        return False

    def taken(self):
        written, self._written = self._written, []
        return written


def _read(file):
    with file:
        while piece := file.read(_PIECE):
            yield piece


def _make_room(folder, place) -> None:
    """Remove the oldest formats, so that with the new one there are MOST_KEPT."""
    others = [path for path in folder.glob(f"{_ENCODED}*") if path != place]
    others = [path for path in others if not any(path.glob(f".*{files.PART}"))]  # being made
    others.sort(key=lambda path: path.stat().st_mtime)
    for old in others[: max(0, len(others) + 1 - MOST_KEPT)]:
        files.remove_quietly(old)


@contextmanager
def _told(folder, result, path):
    """Keep folders out of messages, and tell whether the job has been removed meanwhile."""
    try:
        yield
    except (OSError, UserError) as error:
        if not (folder / f"{result.stems[0].name}.f32").exists():
            files.remove_quietly(folder)  # a writer may have made it anew
            raise Gone(f"{path.name}: the job was removed") from None
        if isinstance(error, OSError):
            raise UserError(f"{path.name}: cannot be made: {error.strerror}") from None
        raise type(error)(shown(str(error), path.parent)) from None
