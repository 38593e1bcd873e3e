"""Write stems to files: all of a track's or none, each complete, with one gain for all."""

import os
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from math import isfinite
from pathlib import Path

import numpy as np

from xumx_jax import files
from xumx_jax.audio import formats
from xumx_jax.audio.containers import NO_TAGS, WavFile
from xumx_jax.audio.formats import BITS, ERRORS, is_float, named, open_writer
from xumx_jax.errors import UserError, warn

_BLOCK = 1 << 18


def encode(path, wave, rate, format="wav", bits=None, bitrate=None, tags=NO_TAGS) -> float:
    """Write [channel, time] to one file, completely or not at all; see `encode_all`."""
    return encode_all({path: wave}, rate, format, bits, bitrate, tags)


def encode_all(waves, rate, format="wav", bits=None, bitrate=None, tags=NO_TAGS) -> float:
    """Write {path: [channel, time]}, all or none, and return the gain: see `StemWriter`."""
    waves = {Path(path): np.asarray(wave, np.float32) for path, wave in waves.items()}
    if not waves:
        return 1.0
    shapes = {wave.shape for wave in waves.values()}
    if len(shapes) > 1:
        raise ValueError(f"stems have the shapes {sorted(shapes)}; wanted one for all")
    ((channels, length),) = shapes
    gain = 1.0 if is_float(format, bits) else gain_for(max(map(_peak, waves.values(), waves)))
    writer = StemWriter(
        {path: path for path in waves},
        *(rate, channels, format, bits, bitrate),
        gain=gain,
        length=length,
        tags=tags,
    )
    with writer:
        for at in range(0, length, _BLOCK):
            writer.write({path: wave[:, at : at + _BLOCK] for path, wave in waves.items()})
    return gain


def gain_for(peak) -> float:
    """The gain that brings this peak to full scale, or 1 if it is below."""
    return 1.0 / float(peak) if peak > 1 else 1.0


class StemWriter:
    """Write the stems of a track block by block, in a `with`: `writer.write({name: block})`.

    paths    {name: file to write}; missing folders are made
    format   one of FORMATS, with `bits` or `bitrate` (kbit/s), None for the format's own default
    gain     None, or what every stem is multiplied by
    length   the number of samples, if known
    tags     of the track (`read_tags`); the file's name without suffix is appended to the title
    check    called between blocks while the spool is encoded, which takes long; may raise
    renaming a context manager that is made and entered while files get their names, in the lock

    Files have temporary names until the `with` block ends; then they are renamed, or removed after
    an error, so no half-written file ever has a final name. If two processes write the same stems,
    all files are those of the process that ended last. Float files keep every value. In other
    formats, if any stem exceeds full scale, one gain brings all of them below it, so that they
    still add up, and a warning says so.

    Stems are encoded as they come, as if none would exceed full scale. Since the last sample may
    require a gain for the first, the floats are spooled as well, in a file without a name, until
    the end: most tracks then discard the spool. The first peak above full scale discards what was
    encoded, and everything is encoded from the spool at the end. There is no shorter way: rounding
    at one gain cannot be turned into rounding at another. With a `gain`, and for float files, there
    is no spool. Raises UserError naming the file that cannot be written. Afterwards `gain` and
    `peak` (before the gain) are known.
    """

    def __init__(
        self,
        paths,
        rate,
        channels,
        format="wav",
        bits=None,
        bitrate=None,
        gain=None,
        length=None,
        tags=NO_TAGS,
        check=lambda: None,
        renaming: Callable[[], AbstractContextManager] = nullcontext,
    ):
        formats.check_format(format, bits, bitrate)
        self._renaming = renaming
        if bits is None and format in BITS:
            bits = BITS[format][0]
        self.paths = {name: Path(path) for name, path in paths.items()}
        for path in self.paths.values():
            files.check_name(path)
        first = next(iter(self.paths.values()), "")
        self.rate, self.channels = formats.check_signal(first, rate, channels, format), channels
        self.gain, self.peak = 1.0 if is_float(format, bits) else gain, 0.0
        self._settings = dict(format=format, bits=bits, bitrate=bitrate, length=length)
        self._tags, self._check = formats.storable(tags, format), check
        self._parts, self._writers, self._spools, self._made = {}, {}, {}, []
        self._spooled = self._encoded = 0  # samples
        self._stack = ExitStack()

    def __enter__(self):
        return self

    def write(self, blocks):
        """Append {name: [channel, time]}, one block for every stem, all of the same length."""
        if not self._parts:
            self._open()
        self.peak = max(
            self.peak, *(_peak(block, self.paths[name]) for name, block in blocks.items())
        )
        if self.gain is not None:
            for name, block in blocks.items():
                self._encode(name, block)
            return
        for name, block in blocks.items():
            with named(self.paths[name]):
                _spool(self._spools[name], block)
        self._spooled += block.shape[1]
        if self.peak > 1:
            self._drop()
        while self._writers and self._spooled - self._encoded >= _BLOCK:
            self._encode_spooled()

    def __exit__(self, kind, error, trace):
        try:
            if kind is None:
                if not self._parts:
                    self._open()
                self._finish()
                self._rename()
        finally:
            self._stack.close()
            for part in self._parts.values():
                files.remove_quietly(part)
            for folder in reversed(self._made):  # those with a stem in them stay
                with suppress(OSError):
                    folder.rmdir()

    def _open(self):
        for name, path in self.paths.items():
            with named(path):
                self._make_folder(path.parent)
                self._parts[name] = files.partial_name(path)
                if self.gain is None:
                    # in the stem's own folder, where there must be room anyway; it has no name
                    file = tempfile.TemporaryFile(dir=path.parent, buffering=0)
                    self._spools[name] = self._stack.enter_context(file)
                self._start(name)

    def _make_folder(self, folder):
        missing = [part for part in (folder, *folder.parents) if not part.exists()]
        self._made += reversed(missing)  # before, since an abort may come at any moment
        folder.mkdir(parents=True, exist_ok=True)

    def _start(self, name):
        self._writers[name] = writer = open_writer(
            *(self._parts[name], self.rate, self.channels),
            **self._settings,
            tags=self._tags.of_stem(self.paths[name].stem),
        )
        self._stack.callback(_close_quietly, writer)

    def _encode(self, name, block):
        with named(self.paths[name]):
            scaled = block if self.gain in (None, 1) else block * np.float32(self.gain)
            self._writers[name].write(scaled)

    def _drop(self):
        """Discard what was encoded, because it needs a gain."""
        for writer in self._writers.values():
            _close_quietly(writer)
        for part in self._parts.values():
            files.remove_quietly(part)
        self._writers.clear()

    def _encode_spooled(self):
        """Encode the next _BLOCK samples of all stems, or the rest of them."""
        for name, spool in self._spools.items():
            with named(self.paths[name]):
                block = _unspool(spool, self.channels, self._encoded)
            self._encode(name, block)
        self._encoded += block.shape[1]

    def _finish(self):
        if self.gain is None and self._writers:
            while self._encoded < self._spooled:
                self._encode_spooled()
            self.gain = 1.0
        elif self.gain is None:
            self.gain = gain_for(self.peak)
            for name, spool in self._spools.items():
                with named(self.paths[name]):
                    self._start(name)
                for at in range(0, self._spooled, _BLOCK):
                    self._check()
                    self._encode(name, _unspool(spool, self.channels, at))
                spool.close()
        for name, writer in self._writers.items():
            with named(self.paths[name]):
                writer.close()
        _warn_of(self.gain)

    def _rename(self):
        for path in self.paths.values():  # before the first is replaced
            if os.path.isdir(path):
                raise UserError(f"{path}: cannot be written: Is a directory")
        with ExitStack() as stack:
            for folder in sorted({path.parent for path in self.paths.values()}):
                stack.enter_context(files.locked(folder))
            stack.enter_context(self._renaming())
            for name, path in self.paths.items():
                with named(path):
                    files.rename(self._parts[name], path, durable=False)


class StdoutWriter:
    """Write one stem to a binary stream as WAV, as `StemWriter` writes files.

    The header of a pipe cannot be rewritten, so the samples are spooled until their number and
    peak are known; after an error nothing is written.
    """

    def __init__(self, file, rate, channels, bits=None, tags=NO_TAGS):
        self.rate, self.channels = formats.check_signal("stdout", rate, channels, "wav"), channels
        self.file = file
        self.bits, self.tags = bits or BITS["wav"][0], formats.storable(tags, "wav")
        self.gain, self.peak, self._samples = 1.0, 0.0, 0
        self._spool = tempfile.TemporaryFile(buffering=0)

    def __enter__(self):
        return self

    def write(self, blocks):
        (block,) = blocks.values()
        self.peak = max(self.peak, _peak(block, "stdout"))
        self._samples += block.shape[1]
        with named(tempfile.gettempdir()):
            _spool(self._spool, block)

    def __exit__(self, kind, error, trace):
        with self._spool:
            if kind is not None:
                return
            self.gain = 1.0 if is_float("wav", self.bits) else gain_for(self.peak)
            with named("stdout"):
                self._copy()
        _warn_of(self.gain)

    def _copy(self):
        settings = (self.rate, self.channels, self.bits, self._samples, self.tags)
        writer = WavFile(self.file, *settings)
        for at in range(0, self._samples, _BLOCK):
            writer.write(_unspool(self._spool, self.channels, at) * np.float32(self.gain))
        writer.finish()


def _spool(file, block):
    """Append [channel, time] to an unbuffered file of floats: closing it can then not fail."""
    file.seek(0, os.SEEK_END)
    left = np.ascontiguousarray(block.T, np.float32).reshape(-1).view(np.uint8).data
    while left:  # `tofile` would not say why it fails
        left = left[file.write(left) :]


def _unspool(file, channels, at):
    """Read _BLOCK samples [channel, time] of such a file from `at` on, or fewer at its end."""
    file.seek(4 * channels * at)
    return np.fromfile(file, np.float32, _BLOCK * channels).reshape(-1, channels).T


def _close_quietly(writer):
    with suppress(*ERRORS()):
        writer.close()


def _warn_of(gain):
    if gain < 1:
        warn(
            f"samples reach {1 / gain:.3f} times full scale: all stems were attenuated by "
            f"{-20 * np.log10(gain):.2f} dB (32f in a wav file keeps their level)"
        )


def _peak(wave, path) -> float:
    """The largest absolute sample. Raises UserError unless all are finite."""
    peak = max(float(wave.max(initial=0)), -float(wave.min(initial=0)))
    if not isfinite(peak):
        raise UserError(f"{path}: cannot be written: samples are NaN or infinite")
    return peak
