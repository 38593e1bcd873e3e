"""Separate with one model: any length, rate and number of channels in, the same out."""

from itertools import tee
from typing import TYPE_CHECKING

import numpy as np

from xumx_jax import runtime
from xumx_jax.audio import StreamResampler
from xumx_jax.audio.resample import whole_rate
from xumx_jax.errors import UserError
from xumx_jax.models import build
from xumx_jax.models.interface import optional
from xumx_jax.postfilters import POST_FILTERS
from xumx_jax.separation import streams
from xumx_jax.separation.engine import (
    CALLBACK,
    USUAL,
    EngineOptions,
    Progress,
    check_options,
    filter_options,
    make_engine,
    usual_overlap,
)
from xumx_jax.separation.inputs import InputBlocks
from xumx_jax.separation.recommended import recommended
from xumx_jax.separation.residual import residual_name
from xumx_jax.weights.bag import Bag
from xumx_jax.weights.load import Models, load_bag

if TYPE_CHECKING:
    from xumx_jax.separation.umx.live import Live

# options that concern neither the engine's arithmetic nor its chunks, or depend on the model
UNCHECKED = {"residual", "device", "cpu_fallback", "mid_side", "denoise"}
SHIFT_SECONDS = 0.5  # the largest


class Separator:
    """A model with its weights and how to apply it: arrays in, arrays out.

    niter, softmask, alpha, logit   as in `postfilters.wiener`; they need a post filter
    residual        add a stem with what the others leave of the mixture: the filter's residual, or
                    without one the mixture minus the stems. True calls it as
                    `separation.residual` says, "instrumental" beside vocals alone; or a name
    post_filter     a key of POST_FILTERS; None: that of the model's original, which may be none
    wiener_frames   frames that the post filter takes at a time; None: as in the original
    chunk_seconds   None: UMX models with a Wiener filter of magnitudes take five minutes at once,
                    so that shorter tracks have no borders; else chunks have the model's usual
                    length
    overlap         share of a chunk that overlaps the next, a quarter by default, or as in the
                    protocol. With 0, each chunk has its own edges and statistics
    batch           number of chunks at once, spread over the devices, for UMX models too
    shifts          number of runs to average, each on the track shifted by up to half a second; 0:
                    a single run, without a shift
    seed            of the shifts
    device          "auto", "cpu", "gpu" or "tpu". Of several of a kind, all are used by models that
                    run in chunks and with `batch`; UMX models without it use one. "gpu:1" is that
                    one alone
    compute         precision of matrix products: "float32", "bfloat16", or "tf32", the device's
                    fastest with float32 operands; sums are float32
    protocol        a key of `separation.protocols.PROTOCOLS`: cut and blend chunks exactly as that
                    program does, such as "demucs", or as the model's own ("original"); None: our
                    own way. `chunk_seconds` is its segment
    transition_power  of Demucs' weights: larger values make shorter transitions
    mid_side        of a model for mono: stereo is separated as left and right and also as mid and
                    side, and the stems are the mean of both, at twice the work
    denoise         of a model whose network is not odd: separate the mixture with its sign turned
                    as well, and average; what the network adds by itself is gone, at twice the work
    cpu_fallback    continue on the CPU if a device has too little memory even for small steps

    `separator(mix [channel, time], rate)` returns {name: float32 [channel, time]} with the same
    rate, length and number of channels; `stream` does so block by block. Samples are floating point
    with full scale 1, or integers as in audio files: int16, int32, uint8. Mono input to a stereo
    model gives mono stems; of more than two channels, the front pair is separated. Warns about
    that, about samples that are NaN, infinite or beyond 1e12 (replaced by 0), about empty input,
    and if too little memory requires smaller steps. It may be used from several threads, and
    pickled; one made by `load` loads its weights again when it is unpickled. Raises UserError on
    options that make no sense, and in a process that was forked after JAX had started.
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
        residual: bool | str = False,
        post_filter: str | None = None,
        wiener_frames: int | None = None,
        chunk_seconds: float | None = None,
        overlap: float | None = None,
        batch: int | None = None,
        shifts: int = 0,
        seed: int = 0,
        device: str = "auto",
        compute: str = "float32",
        protocol: str | None = None,
        transition_power: float = 1.0,
        mid_side: bool = False,
        denoise: bool = False,
        cpu_fallback: bool = True,
    ):
        runtime.check_not_forked()
        given = {
            name: value
            for name, value in locals().items()
            if name not in ("self", "module", "variables")
        }
        self._given, self._origin = given, None
        checked = set(given) - UNCHECKED
        check_options(**{name: given[name] for name in checked})
        if mid_side and module.channels != 1:
            raise UserError(
                f"mid-side is for models for mono, and this one takes {module.channels} channels; "
                "leave it out"
            )
        self.model, self.variables = module, variables
        self.sources, self.residual = tuple(module.sources), residual
        if residual:
            self.sources = (*self.sources, residual_name(module.sources, residual))
        self.post_filter = post_filter or optional(module, "post_filter")
        if self.post_filter and not (niter or softmask or residual):
            # only the phase of another transform would be left of such a filter
            other = POST_FILTERS[self.post_filter].transform is not None
            self.post_filter = None if other else self.post_filter
        of_filter = {name: given[name] for name in USUAL} | {"residual": bool(residual)}
        self.wiener_options = filter_options(module, self.post_filter, of_filter)
        if self.post_filter is not None:
            frames = wiener_frames or POST_FILTERS[self.post_filter].frames
            self.wiener_options["wiener_frames"] = frames
        elif wiener_frames is not None:
            raise UserError(f"wiener-frames is {wiener_frames}, but the model has no post filter")
        whole = chunk_seconds is None and batch is None and protocol is None
        if overlap is not None and whole and optional(module, "engine") != "chunked":
            raise UserError(
                f"overlap is {overlap} without chunk_seconds, the length of the chunks that are to "
                "overlap; use chunk_seconds as well"
            )
        self._undivided = whole and not (shifts or mid_side or denoise)
        options = EngineOptions(
            filter_options={"post_filter": self.post_filter, **self.wiener_options},
            post_filter=self.post_filter,
            chunk_seconds=chunk_seconds,
            overlap=usual_overlap(module, protocol) if overlap is None else overlap,
            batch=batch,
            compute=compute,
            streams=max(1, shifts),
            devices=runtime.devices(device),
            chosen=device != "auto",
            cpu_fallback=cpu_fallback,
            protocol=protocol,
            transition_power=transition_power,
            mid_side=mid_side,
            denoise=denoise,
        )
        self.engine = make_engine(module, variables, options)
        draw = np.random.default_rng(seed)
        self.shifts = [int(draw.integers(int(SHIFT_SECONDS * self.rate))) for _ in range(shifts)]

    def __reduce__(self):
        """Pickle the name that the weights were loaded by, or else the model and its weights."""
        if self._origin is not None:
            return _loaded, (self._origin, self._given)
        return _made, (type(self), self.model, self.variables, self._given)

    @property
    def rate(self) -> int:
        """The sample rate of the model, in hertz."""
        return self.model.sample_rate

    @property
    def residual_gain(self) -> float:
        """The factor with which stems are taken from the mixture, to get what they leave of it."""
        return optional(self.model, "residual_gain")

    def __call__(self, mix, rate: int, callback: CALLBACK | None = None) -> dict[str, np.ndarray]:
        """Separate [channel, time] at `rate` hertz -> {name: [channel, time]}.

        `callback(fraction, eta)` gets the part done and the seconds left (None at first); if it
        returns False, Cancelled is raised.
        """
        return streams.at_once(self, mix, rate, callback)

    def stream(self, blocks, rate: int, length: int | None = None, callback=None):
        """Separate blocks [channel, time] of any number and size -> yield {name: [channel, time]}.

        In total it yields as many samples as it gets, in blocks of other sizes, and memory does not
        grow with their number. `length` is the total number of samples, if known; without it the
        callback gets None.
        """
        runtime.check_not_forked()
        rate = whole_rate(rate)
        progress = Progress(callback, length and length * self.rate / rate)
        inputs = InputBlocks(blocks, self.model.channels)
        stems = self._run(streams.resampled(inputs, rate, self.rate), progress)
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

        Its stems are those of the whole signal, with a constant latency. Needs a model whose LSTMs
        only look back, and no options that need more of the signal than one frame.
        """
        from xumx_jax.separation.umx.live import Live

        other = self.post_filter and not POST_FILTERS[self.post_filter].of_magnitudes
        if other and optional(self.model, "engine") == "umx":
            raise UserError(
                f"post filter {self.post_filter!r} cannot run live; use the model's own"
            )
        if not self._undivided:
            raise UserError(
                "the separator averages runs or cuts chunks, which live separation cannot do; "
                "leave out shifts, chunk_seconds, overlap, batch, protocol, mid_side and denoise"
            )
        return Live(
            self.model,
            self.variables,
            rate,
            hops=hops,
            background=background,
            **{**self.wiener_options, "residual": self.residual},
        )

    def _run(self, blocks, progress):
        """Separate blocks at the model's rate -> yield [source, channel, time]."""
        if not self.shifts:
            return self.engine.stream(blocks, progress)
        count = len(self.shifts)
        shares = streams.shares(progress, count)
        runs = [
            streams.advanced(self.engine.stream(streams.delayed(copy, shift), share, shift), shift)
            for copy, shift, share in zip(tee(blocks, count), self.shifts, shares, strict=True)
        ]
        return streams.mean_of(runs, [1 / count] * count)

    def _named(self, stems):
        return dict(zip(self.sources, stems, strict=True))


def separator_of(bag: Bag, **options):
    """Make a `Separator` for a bag with one member, or a `BagSeparator` for several.

    `options` are those of `Separator`, for every member.
    """
    if len(bag.members) > 1:
        from xumx_jax.separation.bag import separators_of

        return separators_of(bag, options)
    module = build(bag.only.name, **bag.only.args)
    options = recommended(options, bag.only.info, module)
    return Separator(module, bag.only.variables, **options)


def load(models: Models = None, combine: str | None = None, **options):
    """Load models by name or path, several of them with weights (see `load_bag`).

    `combine` is how several are used together, a key of `weights.combinations.COMBINATIONS`: "mean"
    is the average of their stems; None: that of a bag's folder, else "mean". `options` are those of
    `Separator`. Returns a `Separator`, or for several models a `BagSeparator`, which has the same
    methods except `live`. Raises UserError with one line.
    """
    runtime.check_not_forked()
    bag = load_bag(models, combine)
    separator = separator_of(bag, **options)
    if isinstance(separator, Separator):
        separator._origin = bag.only.info["path"]  # loaded from there again when it is unpickled
    return separator


def _loaded(origin, given):
    return load(origin, **given)


def _made(kind, model, variables, given):
    return kind(model, variables, **given)
