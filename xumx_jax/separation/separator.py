"""Separate with a model: any length, rate and channel count in, the same out."""

from itertools import tee

import numpy as np

from xumx_jax.audio import StreamResampler
from xumx_jax.errors import UserError
from xumx_jax.separation import streams
from xumx_jax.separation.chunked import Chunked
from xumx_jax.separation.inputs import InputBlocks
from xumx_jax.separation.options import FILTERS, check_options, whole_rate
from xumx_jax.separation.progress import CALLBACK, Progress
from xumx_jax.separation.umx import offline
from xumx_jax.separation.umx.live import Live
from xumx_jax.weights.load import load_module

CHUNK_SECONDS = 10.0  # where the model does not run in stages
SHIFT_SECONDS = 0.5  # the largest


class Separator:
    """A model with its weights and how to apply it: arrays in, arrays out.

    niter, softmask, alpha, logit, residual   as in `wiener`; `residual` adds a stem of that name
    filter          whose Wiener filter, a key of FILTERS; None: as the model's original has it,
                    Open-Unmix's for Open-Unmix, norbert's for the others
    wiener_frames   frames that it sees at a time; None: as the original
    chunk_seconds   None takes five minutes at once where the model can be run in stages
                    (`separation.umx.offline`), so that shorter tracks have no borders, else 10 s
    overlap         what neighbouring chunks share: in stages so that either side knows what comes
                    behind the border, else cross-faded. 0 butts them, each with its own edges and
                    statistics and the last one shorter: the original programs' protocol
    batch           None: stages where the model can; a number: so many chunks at once, spread over
                    the devices
    shifts          average so many runs on the track moved by up to half a second; 0: one, unmoved
    seed            of the shifts
    cpu_fallback    go on on the CPU where a device has too little memory even for small steps

    `separator(mix [channel, time], rate)` gives {name: float32 [channel, time]} at the same rate,
    length and channel count; `stream` does so block by block. Mono input to a stereo model gives
    mono stems; of more than two channels the front pair is separated. Warns about that, about
    samples that are not finite (taken as 0), about empty input, and where a device has too little
    memory and smaller steps are taken. Raises UserError on options that make no sense.
    """

    def __init__(
        self,
        module,
        variables,
        *,
        niter: int = 1,
        softmask: bool = False,
        alpha: float = 1.0,
        logit: float | None = None,
        residual: bool = False,
        filter: str | None = None,
        wiener_frames: int | None = None,
        chunk_seconds: float | None = None,
        overlap: float = 0.25,
        batch: int | None = None,
        shifts: int = 0,
        seed: int = 0,
        cpu_fallback: bool = True,
    ):
        check_options(
            niter=niter,
            softmask=softmask,
            alpha=alpha,
            logit=logit,
            chunk_seconds=chunk_seconds,
            overlap=overlap,
            batch=batch,
            filter=filter,
            wiener_frames=wiener_frames,
            shifts=shifts,
            seed=seed,
        )
        if niter and len(module.sources) == 1 and not residual:
            raise UserError(
                f"the model has one source, {module.sources[0]}: the Wiener filter needs another "
                "to weigh it against; wanted a residual, or niter 0"
            )
        self.model, self.variables = module, variables
        self.sources = tuple(module.sources) + ("residual",) * residual
        if filter is None:
            usual = "norbert" if getattr(module, "bridge", True) else "openunmix"
            filter = getattr(module, "filter", None) or usual
        rules, usual_frames = FILTERS[filter]
        self.post = dict(
            niter=niter, softmask=softmask, alpha=alpha, logit=logit, residual=residual
        )
        self.post |= {"window_frames": wiener_frames or usual_frames, **rules}
        if offline.can_stage(module) and overlap and batch is None:
            room = {"cpu_fallback": cpu_fallback}
            if chunk_seconds is not None:
                room["segment_seconds"] = chunk_seconds * (1 - overlap)
                room["context_seconds"] = chunk_seconds * overlap / 2
            elif shifts:  # streams that run side by side share the room of one
                room["segment_seconds"] = offline.SEGMENT_SECONDS / shifts
            self.engine = offline.Offline(module, variables, **room, **self.post)
        else:
            chunk = self.rate * (chunk_seconds or CHUNK_SECONDS)
            self.engine = Chunked(module, variables, self.post, chunk, overlap, batch, cpu_fallback)
        in_stages = isinstance(self.engine, offline.Offline)
        self._undivided = in_stages and chunk_seconds is None and not shifts
        draw = np.random.default_rng(seed)
        self.shifts = [int(draw.integers(SHIFT_SECONDS * self.rate)) for _ in range(shifts)]

    @property
    def rate(self) -> int:
        """The sample rate of the model, in hertz."""
        return self.model.sample_rate

    def __call__(self, mix, rate: int, callback: CALLBACK | None = None) -> dict[str, np.ndarray]:
        """Separate [channel, time] at `rate` hertz -> {name: [channel, time]}.

        `callback(fraction, eta)` is told the part done and the seconds left (None at first); where
        it returns False, Cancelled is raised.
        """
        return at_once(self, mix, rate, callback)

    def stream(self, blocks, rate: int, length: int | None = None, callback=None):
        """Separate blocks [channel, time], any number and sizes -> yield {name: [channel, time]}.

        What is yielded has together as many samples as the blocks, in blocks of its own sizes, and
        memory does not grow with their number. `length` is the number of samples to come, if
        known: without it the callback is told None.
        """
        rate = whole_rate(rate)
        meter = Progress(callback, length and length * self.rate / rate)
        tidy = InputBlocks(blocks, self.model.channels)
        stems = self._run(_resampled(tidy, rate, self.rate), meter)
        back, shape = None, None
        for block in stems:
            if block.shape[1] > tidy.channels:
                block = block.mean(axis=1, keepdims=True)
            shape = block.shape[:2]
            back = back or StreamResampler(self.rate, rate, shape[0] * shape[1])
            block = back.push(block.reshape(-1, block.shape[-1]))
            if block.shape[1]:
                yield self._named(block.reshape(*shape, -1))
        tidy.tell()
        if back is not None:
            rest = back.finish(tidy.taken)
            if rest.shape[1]:
                yield self._named(rest.reshape(*shape, -1))

    def live(self, rate: int, hops: int = 1, background: bool = False) -> Live:
        """Separate a signal as it comes, at `rate` hertz -> an object with `push` and `finish`.

        Its stems are those of the whole signal, a constant latency later. Wanted: a model whose
        LSTMs look back only, and of the options none that need more of the signal than one frame.
        """
        live = Live(self.model, self.variables, rate, hops=hops, background=background, **self.post)
        if not self._undivided:
            raise UserError(
                "the separator averages shifts or cuts chunks; live takes the signal as one, and "
                "wanted none of shifts, chunk_seconds, overlap and batch"
            )
        return live

    def _run(self, blocks, meter):
        """Separate blocks at the model's rate -> yield [source, channel, time]."""
        if not self.shifts:
            return self.engine.stream(blocks, meter)
        count = len(self.shifts)
        ticks = streams.shares(meter, count)
        runs = [
            streams.advanced(self.engine.stream(streams.delayed(copy, shift), tick), shift)
            for copy, shift, tick in zip(tee(blocks, count), self.shifts, ticks, strict=True)
        ]
        return streams.mean_of(runs, [1 / count] * count)

    def _named(self, stems):
        return dict(zip(self.sources, stems, strict=True))


def at_once(separator, mix, rate, callback) -> dict[str, np.ndarray]:
    """Separate an array [channel, time] with the `stream` of a Separator or an Ensemble."""
    mix = np.asarray(mix, np.float32)
    if mix.ndim != 2 or not mix.shape[0]:
        raise UserError(f"the mixture has shape {mix.shape}; wanted [channel, time]")
    length = mix.shape[1]
    stems = {
        name: np.zeros((min(2, mix.shape[0]), length), np.float32) for name in separator.sources
    }
    at = 0
    for block in separator.stream([mix], rate, length, callback):
        for name, samples in block.items():
            stems[name][:, at : at + samples.shape[1]] = samples
        at += samples.shape[1]
    if at != length:
        raise AssertionError(f"{at} samples of stems came of {length}")
    return stems


def _resampled(blocks, rate, target):
    """Yield blocks [channel, time] at another rate."""
    stream = None
    for block in blocks:
        stream = stream or StreamResampler(rate, target, block.shape[0])
        yield stream.push(block)
    if stream is not None:
        yield stream.finish()


def load(name_or_path=None, **options) -> Separator:
    """Return a `Separator` for a name of the zoo or a path; `options` are the Separator's."""
    module, variables, _ = load_module(name_or_path)
    return Separator(module, variables, **options)
