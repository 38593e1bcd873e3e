"""Separate with a model: any length, rate and channel count in, the same out."""

from itertools import tee
from typing import TYPE_CHECKING

import numpy as np

from xumx_jax import runtime
from xumx_jax.audio import StreamResampler
from xumx_jax.errors import UserError
from xumx_jax.models.interface import optional
from xumx_jax.postfilters import POST_FILTERS
from xumx_jax.separation import streams
from xumx_jax.separation.engine import make_engine
from xumx_jax.separation.inputs import InputBlocks
from xumx_jax.separation.options import EngineOptions, check_options, whole_rate
from xumx_jax.separation.progress import CALLBACK, Progress

if TYPE_CHECKING:
    from xumx_jax.separation.umx.live import Live

OVERLAP = 0.25  # of chunks
SHIFT_SECONDS = 0.5  # the largest


class Separator:
    """A model with its weights and how to apply it: arrays in, arrays out.

    niter, softmask, alpha, logit, residual   as in `postfilters.wiener`; `residual` adds a stem of
                    that name. They act with a post filter, but the residual, which without one is
                    what the stems leave of the mixture
    post_filter     a key of POST_FILTERS; None: as the model's original has it, which may be none
    wiener_frames   frames that the post filter sees at a time; None: as the original
    chunk_seconds   None takes UMX models over five minutes at once, so that shorter tracks have no
                    borders, and cuts tracks into chunks of the usual length of other models
    overlap         what neighbouring chunks share, a quarter if nothing is said. 0 butts them, each
                    with its own edges and statistics: the original programs' protocol
    batch           so many chunks at once, spread over the devices, for UMX models too
    shifts          average so many runs on the track moved by up to half a second; 0: one, unmoved
    seed            of the shifts
    device          "auto", "cpu", "gpu" or "tpu"; of several devices of a kind all are used
    compute         what matrix products read: "float32", "bfloat16", or "tf32", which is what the
                    device does fastest with float32; sums are float32
    cpu_fallback    go on on the CPU where a device has too little memory even for small steps

    `separator(mix [channel, time], rate)` gives {name: float32 [channel, time]} at the same rate,
    length and channel count; `stream` does so block by block. Mono input to a stereo model gives
    mono stems; of more than two channels the front pair is separated. Warns about that, about
    samples that are not finite (taken as 0), about empty input, and where a device has too little
    memory and smaller steps are taken. It may be used from several threads, and pickled; one that
    `load` has made loads its weights again where it arrives. Raises UserError on options that make
    no sense, and in a process that was forked after JAX had started.
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
        post_filter: str | None = None,
        wiener_frames: int | None = None,
        chunk_seconds: float | None = None,
        overlap: float | None = None,
        batch: int | None = None,
        shifts: int = 0,
        seed: int = 0,
        device: str = "auto",
        compute: str = "float32",
        cpu_fallback: bool = True,
    ):
        runtime.check_not_forked()
        given = {
            name: value
            for name, value in locals().items()
            if name not in ("self", "module", "variables")
        }
        self._given, self._origin = given, None
        checked = set(given) - {"residual", "device", "cpu_fallback"}
        check_options(**{name: given[name] for name in checked})
        self.model, self.variables = module, variables
        self.sources = tuple(module.sources) + ("residual",) * residual
        self.post_filter = post_filter or optional(module, "post_filter")
        self.wiener_options = self._wiener_options(
            niter=niter, softmask=softmask, alpha=alpha, logit=logit, residual=residual
        )
        if self.post_filter is not None:
            frames = wiener_frames or POST_FILTERS[self.post_filter].frames
            self.wiener_options["wiener_frames"] = frames
        options = EngineOptions(
            filter_options={"post_filter": self.post_filter, **self.wiener_options},
            post_filter=self.post_filter,
            chunk_seconds=chunk_seconds,
            overlap=OVERLAP if overlap is None else overlap,
            batch=batch,
            compute=compute,
            streams=max(1, shifts),
            devices=runtime.devices(device),
            chosen=device != "auto",
            cpu_fallback=cpu_fallback,
        )
        self.engine = make_engine(module, variables, options)
        self._undivided = chunk_seconds is None and batch is None and not shifts
        draw = np.random.default_rng(seed)
        self.shifts = [int(draw.integers(int(SHIFT_SECONDS * self.rate))) for _ in range(shifts)]

    def _wiener_options(self, **given) -> dict:
        """The options of the post filter. Raises UserError where these do not go with the model."""
        if self.post_filter is None:
            usual = {"niter": 1, "softmask": False, "alpha": 1.0, "logit": None}
            for name, value in usual.items():
                if given[name] != value:
                    raise UserError(
                        f"{name} is {given[name]}, but the model has no post filter, which would "
                        f"use it; wanted a post filter as well ({', '.join(POST_FILTERS)})"
                    )
            return {"residual": given["residual"]}
        sources = self.model.sources
        if self.model.transform is None:
            raise UserError(
                f"post filter {self.post_filter!r}: the model works on waveforms, and post filters "
                "on spectra; wanted none"
            )
        if given["niter"] and len(sources) == 1 and not given["residual"]:
            raise UserError(
                f"the model has one source, {sources[0]}: the Wiener filter needs another "
                "to weigh it against; wanted a residual, or niter 0"
            )
        return {**given, **POST_FILTERS[self.post_filter].options}

    def __reduce__(self):
        """Pickle the name that weights were loaded by, or else model and weights."""
        if self._origin is not None:
            return _loaded, (self._origin, self._given)
        return _made, (type(self), self.model, self.variables, self._given)

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
        runtime.check_not_forked()
        rate = whole_rate(rate)
        progress = Progress(callback, length and length * self.rate / rate)
        inputs = InputBlocks(blocks, self.model.channels)
        stems = self._run(_resampled(inputs, rate, self.rate), progress)
        back, shape = None, (0, 0)
        for block in stems:
            if block.shape[1] > inputs.channels:
                block = block.mean(axis=1, keepdims=True)
            shape = block.shape[:2]
            back = back or StreamResampler(self.rate, rate, shape[0] * shape[1])
            block = back.push(block.reshape(-1, block.shape[-1]))
            if block.shape[1]:
                yield self._named(block.reshape(*shape, -1))
        inputs.warn()
        if back is not None:
            rest = back.finish(inputs.samples)
            if rest.shape[1]:
                yield self._named(rest.reshape(*shape, -1))

    def live(self, rate: int, hops: int = 1, background: bool = False) -> "Live":
        """Separate a signal as it comes, at `rate` hertz -> an object with `push` and `finish`.

        Its stems are those of the whole signal, a constant latency later. Wanted: a model whose
        LSTMs look back only, and of the options none that need more of the signal than one frame.
        """
        from xumx_jax.separation.umx.live import Live

        live = Live(
            self.model,
            self.variables,
            rate,
            hops=hops,
            background=background,
            **self.wiener_options,
        )
        if not self._undivided:
            raise UserError(
                "the separator averages shifts or cuts chunks, which live separation cannot do; "
                "wanted none of shifts, chunk_seconds, overlap and batch"
            )
        return live

    def _run(self, blocks, progress):
        """Separate blocks at the model's rate -> yield [source, channel, time]."""
        if not self.shifts:
            return self.engine.stream(blocks, progress)
        count = len(self.shifts)
        shares = streams.shares(progress, count)
        runs = [
            streams.advanced(self.engine.stream(streams.delayed(copy, shift), share), shift)
            for copy, shift, share in zip(tee(blocks, count), self.shifts, shares, strict=True)
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


def _loaded(origin, given):
    from xumx_jax.separation.bag import load  # which makes Separators

    return load(origin, **given)


def _made(kind, model, variables, given):
    return kind(model, variables, **given)
