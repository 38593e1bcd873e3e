"""One track from file to stems, block by block: never a whole one in memory."""

import os
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

import numpy as np

from xumx_jax import audio
from xumx_jax.commands.batch.mixture import Ahead, Mixture, one_at_a_time
from xumx_jax.errors import UserError
from xumx_jax.separation import multichannel
from xumx_jax.separation.selection import NullError, make


class Job:
    """What is done with every track, in as many threads as are wanted.

    chosen   what to write, of `stems.choose`
    stop     a `signals.Stop`, looked for between blocks
    """

    def __init__(self, separator, options, chosen, stop):
        self.separator, self.options, self.chosen = separator, options, chosen
        self.stop = stop
        self._turn = threading.Lock()  # one thread at a time has the device

    def run(self, track, entry: dict, told, progress, expected=0.0) -> str:
        """Separate one track, fill its entry of the report and return its summary.

        `told(message)` is called with warnings, `progress(fraction, eta)` now and then; for the
        fraction `expected` seconds stand in for a length that the file does not state.
        """
        options = self.options
        if options.out != "-":
            check_place(track.folder, self.paths(track).values())
        begin = time.perf_counter()
        with ExitStack() as stack:
            blocks = stack.enter_context(
                audio.open_blocks(
                    track.path, options.start, options.duration, options.allow_truncated
                )
            )
            entry |= {"rate": blocks.rate, "channels": blocks.channels}
            wide = options.channels == "all"
            if wide:
                multichannel.check_channels(track.label, blocks.channels, options.format)
            source = stack.enter_context(Ahead(blocks, self.stop))
            rate = self.separator.rate if options.rate == "model" else None
            mixture = Mixture(track.label, blocks, source, wide, rate, options.strict)
            if blocks.channels > mixture.channels:
                told(
                    f"the mixture has {blocks.channels} channels: the front pair (the first two) "
                    "is separated into stereo stems (--channels all takes them all)"
                )
            length = mixture.length or round(expected * mixture.rate) or None
            timings = self._stream(track, mixture, length, entry, progress)
            timings["decode"] = source.seconds
        timings["total"] = time.perf_counter() - begin
        entry["seconds"] = seconds = mixture.read / blocks.rate
        entry |= {"samples": mixture.read, "stems_rate": mixture.rate}
        entry["timings"] = {name: round(value, 3) for name, value in sorted(timings.items())}
        if mixture.bad:
            told(f"{mixture.bad} samples are NaN or infinite and were replaced by 0")
        if not mixture.read:
            told("the mixture has no samples: the stems are empty")
        null = entry["null_error_db"]
        null = "silent" if null is None else f"{null:.1f} dB"
        return (
            f"{track.label}: {seconds:.1f} s separated in {timings['total']:.2f} s "
            f"({seconds / timings['total']:.1f} x real time), stems against mix {null}\n"
            + "\n".join(f"  {path}" for path in entry["outputs"].values())
        )

    def _stream(self, track, mixture, length, entry, progress) -> dict:
        """Separate and write block by block -> seconds that it took."""
        encode = separate = 0.0
        written, null, peaks = 0, NullError(), dict.fromkeys(self.chosen, 0.0)
        with closing_pipe() if self.options.out == "-" else nullcontext():
            with self._writer(track, mixture) as writer:
                begin = time.perf_counter()
                for stems in self._separated(mixture, length, progress):
                    middle = time.perf_counter()
                    separate += middle - begin
                    samples = next(iter(stems.values())).shape[1]
                    heard = mixture.take(samples)
                    made = make(self.chosen, stems, heard)
                    null.add(heard, stems)
                    for name, stem in made.items():
                        peaks[name] = max(peaks[name], float(np.abs(stem).max(initial=0)))
                    writer.write(made)
                    written += samples
                    self.stop.check()
                    begin = time.perf_counter()
                    encode += begin - middle
                if written != mixture.given:
                    raise AssertionError(f"stems have {written} samples of {mixture.given}")
                begin = time.perf_counter()
            encode += time.perf_counter() - begin
        entry |= {"stems_samples": written, "peak": peaks, "gain": writer.gain}
        entry["null_error_db"] = null.db()
        return {"separate": separate, "encode": encode}

    def _separated(self, mixture, length, progress):
        """Yield {name: [channel, time]} of the mixture, one thread at a time at the device."""
        blocks = iter(mixture)
        first = next(blocks, None)
        if first is None:
            return

        def callback(fraction, eta):
            self.stop.check()
            progress(fraction, eta)

        stream = multichannel.stream(
            self.separator,
            _after(first, blocks),
            mixture.channels,
            *(mixture.rate, length, callback),
        )
        try:
            while True:
                with one_at_a_time(self._turn, self.stop):
                    stems = next(stream, None)
                if stems is None:
                    return
                yield stems
        finally:
            multichannel.close(stream)

    def _writer(self, track, mixture):
        options, tags = self.options, audio.read_tags(track.path)
        if options.out == "-":
            ((name, _),) = self.chosen.items()
            return audio.StdoutWriter(
                sys.stdout.buffer, mixture.rate, mixture.channels, options.bits, tags.of_stem(name)
            )
        return audio.StemWriter(
            self.paths(track),
            *(mixture.rate, mixture.channels, options.format, options.bits, options.bitrate),
            length=mixture.length,
            tags=tags,
            check=self.stop.check,
        )

    def paths(self, track) -> dict[str, Path]:
        """Where a track's stems go."""
        return {name: track.folder / f"{name}.{self.options.format}" for name in self.chosen}


def _after(first, rest):
    yield first
    yield from rest


@contextmanager
def closing_pipe():
    """Within this, if stdout cannot be written, nothing more is tried when Python ends."""
    try:
        yield
    except UserError as error:
        if str(error).startswith("stdout: "):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def check_place(folder, paths=()):
    """Raise UserError if no folder or file can be made there; before anything is computed."""
    for path in paths:
        if path.is_dir():
            raise UserError(f"{path}: cannot be written: it is a folder")
    places = (folder, *folder.parents)
    nearest = next(place for place in places if place.exists() or place.is_symlink())
    if not nearest.is_dir():
        raise UserError(f"{folder}: cannot be written: {nearest} is not a folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise UserError(f"{folder}: cannot be written: {nearest} is read-only")
