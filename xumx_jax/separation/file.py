"""From a file, or a stream of decoded audio, to files of its stems.

The command line, Spleeter Web's class and every other program that separates files call
`separate_file`; which files are separated, and what is shown, is up to them.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from xumx_jax import files
from xumx_jax.audio.decode import AudioStream, open_blocks
from xumx_jax.audio.encode import StdoutWriter, StemWriter
from xumx_jax.audio.formats import check_format
from xumx_jax.errors import Cancelled, UserError, collected, warn
from xumx_jax.separation import multichannel
from xumx_jax.separation.engine import CALLBACK
from xumx_jax.separation.inputs import Mixture, ReadAhead, held, replaced
from xumx_jax.separation.record import Record, renaming
from xumx_jax.separation.selection import NullError, choose, make

RATES, CHANNELS = ("original", "model"), ("front", "all")


@dataclass(frozen=True)
class SeparatedFile:
    """What became of a track.

    paths          {stem: the file written}; empty where `out` was an open file
    rate, channels, samples   of the source: hertz, and samples per channel that were read of it
    stems_rate, stems_samples   of the files
    peaks          {stem: its largest absolute sample before `gain`}
    gain           what all stems were multiplied by so that none exceeds full scale; 1 as a rule
    null_error_db  how far the sum of the model's stems is from the mixture, in dB below it; None
                   for silence
    timings        {"decode", "separate", "encode", "total": seconds}; decoding runs in parallel
    warnings       what was odd about the track, one line each
    """

    paths: dict[str, Path]
    rate: int
    channels: int
    samples: int
    stems_rate: int
    stems_samples: int
    peaks: dict[str, float]
    gain: float
    null_error_db: float | None
    timings: dict[str, float]
    warnings: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """The length of the source in seconds."""
        return self.samples / self.rate


def separate_file(
    separator,
    source: str | Path | BinaryIO | AudioStream,
    out: str | Path | Mapping[str, str | Path] | BinaryIO,
    *,
    stems: str | Sequence[str] | None = None,
    two_stems: str | None = None,
    mix: str | Sequence[str] | None = None,
    aggregate: str | Mapping[str, Sequence[str]] | None = None,
    format: str = "wav",
    bits: str | None = None,
    bitrate: int | None = None,
    rate: str = "original",
    channels: str = "front",
    start: float = 0.0,
    duration: float | None = None,
    allow_truncated: bool = False,
    strict: bool = False,
    name: str = "{stem}.{format}",
    label: str | None = None,
    on_progress: CALLBACK | None = None,
    on_warning: Callable[[str], Any] | None = None,
    cancelled: Callable[[], bool] | None = None,
    device_lock=None,
    on_block: Callable[[dict[str, np.ndarray]], Any] | None = None,
    record: Record | None = None,
) -> SeparatedFile:
    """Separate one track block by block and write its stems; memory does not grow with its length.

    separator  from `load`
    source     a file in any format, opened once; or one that is open, with a `name`, such as one of
               `xumx_jax.stores`; or an AudioStream, such as one from a decoder in another process
    out        the folder for the stems, or {stem: file}, or a binary file open for writing, such as
               a pipe, which gets one stem as WAV

    What is written:
    stems      some of the stems, ("vocals", "bass") or "vocals,bass"; all by default. Or one of
    two_stems  a stem, and the rest of the mixture, called "rest"; of a model of one source as
               `separation.residual` says, such as "instrumental"
    mix        the sum of some, ("drums", "bass") or "drums+bass", under the latter name
    aggregate  {name: stems to add up}, or a text as for `--aggregate`
    format     one of `audio.FORMATS`, with `bits` ("16", "24", "32f") or `bitrate` (kbit/s); None:
               the format's own default
    rate       "original", the source's, or "model", the model's
    channels   if there are more than two: the "front" pair, or "all" of them, in pairs
    name       name of each file in the folder, made from {stem} and {format}

    What is read:
    start, duration  seconds of a file
    allow_truncated  read what is left of a file that was cut short, with a warning
    strict           samples that are NaN, infinite or beyond 1e12 are an error; otherwise 0, with
                     a warning
    label            name of the source in messages; None: its path

    While it runs:
    on_progress  called with the part done and the seconds left (None if unknown) while the model
                 computes; returning False cancels. It may block, to pause.
    on_warning   called with each line of the result's `warnings` as it arises, in any thread
    cancelled    called between blocks, and while waiting; True cancels
    device_lock  a lock that is held while the model computes, for callers that separate several
                 files at once: decoding and encoding continue in parallel
    on_block     called with each block of what is written, {stem: float32 [channel, time]}, before
                 the gain, in the caller's thread; what it raises ends the work
    record       what to write about the stems beside them (`separation.record`)

    Files appear together, once all are complete, and replace existing ones. Raises UserError with
    one line for anything wrong with the track, the options or the place, and its subclass Cancelled
    if it was cancelled. In these cases no files are left behind.
    """
    begin = time.perf_counter()
    check_format(format, bits, bitrate)
    if rate not in RATES or channels not in CHANNELS:
        raise UserError(
            f"rate is {rate!r} and channels {channels!r}; wanted one of {', '.join(RATES)}, and "
            f"one of {', '.join(CHANNELS)}"
        )
    gain = getattr(separator, "residual_gain", 1.0)
    chosen = choose(separator.sources, stems, two_stems, mix, aggregate, gain)
    usual = "the mixture" if isinstance(source, AudioStream) else getattr(source, "name", source)
    label = label or str(usual)
    paths = _paths(out, chosen, name, format)
    messages: list[str] = []

    def check():
        if cancelled is not None and cancelled():
            raise Cancelled(f"{label}: was cancelled")

    def tick(fraction, eta):
        check()
        return None if on_progress is None else on_progress(fraction, eta)

    def listen(message):
        messages.append(message)
        if on_warning is not None:
            on_warning(message)

    with collected(listen), ExitStack() as stack:
        stream = _opened(stack, source, start, duration, allow_truncated)
        wide = channels == "all"
        if wide:
            multichannel.check_channels(label, stream.channels, format)
        ahead = stack.enter_context(ReadAhead(stream, check))
        target = separator.rate if rate == "model" else None
        mixture = Mixture(label, stream, ahead, wide, target, strict)
        if stream.channels > mixture.channels:
            warn(
                f"the mixture has {stream.channels} channels: the front pair (the first two) "
                "is separated into stereo stems (--channels all separates them all)"
            )
        if paths is None:
            ((stem, _),) = chosen.items()
            writer = StdoutWriter(
                out, mixture.rate, mixture.channels, bits, stream.tags.of_stem(stem)
            )
        else:
            writer = StemWriter(
                paths,
                *(mixture.rate, mixture.channels, format, bits, bitrate),
                length=mixture.length,
                tags=stream.tags,
                check=check,
                renaming=lambda: renaming(paths.values(), record),
            )
        separated = _separated(separator, mixture, tick, device_lock, check)
        done = _write(separated, mixture, chosen, writer, on_block, check)
        if mixture.bad:
            warn(replaced(mixture.bad))
        if not mixture.read:
            warn("the mixture has no samples: the stems are empty")
    done["timings"] |= {"decode": ahead.seconds, "total": time.perf_counter() - begin}
    return SeparatedFile(
        paths=paths or {},
        rate=stream.rate,
        channels=stream.channels,
        samples=mixture.read,
        stems_rate=mixture.rate,
        gain=writer.gain or 1.0,  # known once it is written
        warnings=tuple(messages),
        **done,
    )


def _opened(stack, source, start, duration, allow_truncated) -> AudioStream:
    if not isinstance(source, AudioStream):
        opened = open_blocks(source, start, duration, allow_truncated, tags=True)
        return stack.enter_context(opened)
    if start or duration is not None or allow_truncated:
        raise UserError(
            "start, duration and allow_truncated are for files; leave them out with a stream"
        )
    return source


def _paths(out, chosen, name, format) -> dict[str, Path] | None:
    """{stem: file}, None for an open file. Raises UserError before anything is computed."""
    if hasattr(out, "write"):
        if len(chosen) > 1 or format != "wav":
            raise UserError("an open file takes one stem as wav; choose it with stems or mix")
        return None
    if isinstance(out, Mapping):
        if set(out) != set(chosen):
            raise UserError(
                f"got files for {', '.join(out)}; wanted one for each of {', '.join(chosen)}"
            )
        paths = {stem: Path(out[stem]) for stem in chosen}
    else:
        try:
            paths = {stem: Path(out, name.format(stem=stem, format=format)) for stem in chosen}
        except (KeyError, IndexError, ValueError) as error:
            raise UserError(f"name is {name!r}; wanted {{stem}} and {{format}} in it") from error
        if len(set(paths.values())) < len(chosen):
            raise UserError(f"name is {name!r}, the same for several stems; use {{stem}} in it")
    for folder in dict.fromkeys(path.parent for path in paths.values()):
        files.check_place(folder, paths.values())
    return paths


def _write(separated, mixture, chosen, writer, on_block, check) -> dict:
    """Write the stems block by block -> fields of the result."""
    timings = {"separate": 0.0, "encode": 0.0}
    written, null, peaks = 0, NullError(), dict.fromkeys(chosen, 0.0)
    with writer:
        begin = time.perf_counter()
        for stems in separated:
            middle = time.perf_counter()
            timings["separate"] += middle - begin
            samples = next(iter(stems.values())).shape[1]
            mix = mixture.take(samples)
            made = make(chosen, stems, mix)
            null.add(mix, stems)
            for name, stem in made.items():
                peaks[name] = max(peaks[name], float(np.abs(stem).max(initial=0)))
            writer.write(made)
            if on_block is not None:
                on_block(made)
            written += samples
            check()
            begin = time.perf_counter()
            timings["encode"] += begin - middle
        if written != mixture.given:
            raise AssertionError(f"stems have {written} samples of {mixture.given}")
        begin = time.perf_counter()
    timings["encode"] += time.perf_counter() - begin
    return {
        "stems_samples": written,
        "peaks": peaks,
        "null_error_db": null.db(),
        "timings": timings,
    }


def _separated(separator, mixture, tick, lock, check):
    """Separate the mixture, and yield {name: [channel, time]}."""
    blocks = iter(mixture)
    first = next(blocks, None)
    if first is None:
        return
    arguments = (_after(first, blocks), mixture.rate, mixture.expected or None, tick)
    if mixture.channels > 2:
        stream = multichannel.stream(separator, mixture.channels, *arguments)
    else:
        stream = separator.stream(*arguments)
    try:
        while True:
            with held(lock, check):
                stems = next(stream, None)
            if stems is None:
                return
            yield stems
    finally:
        if hasattr(stream, "close"):
            stream.close()


def _after(first, rest):
    yield first
    yield from rest
