"""Engines apply a model to a stream: their options, their progress, and which one is used.

An engine is made from (model, variables, EngineOptions) and has `stream(blocks, progress, lead)`:
blocks [channel, time] at the model's rate in, [source, channel, time] out, with as many samples, in
blocks of any size and in bounded memory. `progress` is called with the number of samples done, and
the first `lead` samples are silence that is no part of the track. `takes(options)` says whether it
can do what they ask for. Options are checked before anything heavy is imported.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from math import isfinite
from typing import Any

from xumx_jax.errors import Cancelled, UserError

COMPUTE = ("float32", "bfloat16", "tf32")
AHEAD_SECONDS = 300.0  # how far statistics of a track are read ahead of what is separated
CALLBACK = Callable[[float | None, float | None], object]
# {option of a post filter: its values for models without one}
USUAL = {"niter": (1, 0), "softmask": (False,), "alpha": (1.0,), "logit": (None,)}
OVERLAP = 0.25  # of chunks
_EARLY = 0.02  # part of the work before which the remaining time cannot be estimated


@dataclass(frozen=True)
class EngineOptions:
    """The options that a Separator passes to its engine.

    filter_options  all arguments of `postfilters.apply`
    post_filter     key of POST_FILTERS; None: the model's stems are used as they are
    chunk_seconds, overlap, batch, compute  as in `Separator`
    streams         number of streams that run side by side and share the memory of one
    devices         JAX's devices, to spread work over
    chosen          the user chose these devices, so no others are used
    cpu_fallback    continue on the CPU if the devices have too little memory
    protocol, transition_power, mid_side, denoise  as in `Separator`
    """

    filter_options: dict[str, Any]
    post_filter: str | None
    chunk_seconds: float | None
    overlap: float
    batch: int | None
    compute: str
    streams: int
    devices: tuple
    chosen: bool
    cpu_fallback: bool
    protocol: str | None = None
    transition_power: float = 1.0
    mid_side: bool = False
    denoise: bool = False


def check_options(
    niter=1,
    softmask=False,
    alpha=1.0,
    logit=None,
    chunk_seconds=None,
    overlap=None,
    batch=None,
    post_filter=None,
    wiener_frames=None,
    shifts=0,
    seed=0,
    compute="float32",
    protocol=None,
    transition_power=1.0,
):
    """Raise UserError on the first option that makes no sense."""
    if niter != int(niter) or niter < 0:
        raise UserError(f"niter is {niter}; wanted 0 or a positive whole number")
    if not (isfinite(alpha) and alpha > 0):
        raise UserError(f"alpha is {alpha}; wanted a positive number")
    if alpha != 1 and not softmask:
        raise UserError(
            f"alpha is {alpha} without softmask; use softmask as well, since alpha needs it"
        )
    if logit is not None and not 0 < logit < 1:
        raise UserError(f"logit is {logit}; wanted a number between 0 and 1")
    if logit is not None and not softmask:
        raise UserError(
            f"logit is {logit} without softmask; use softmask as well, since logit needs it"
        )
    if post_filter is not None:
        from xumx_jax.postfilters import POST_FILTERS

        if post_filter not in POST_FILTERS:
            known = ", ".join(POST_FILTERS)
            raise UserError(f"unknown post filter {post_filter!r}; known: {known}")
    if compute not in COMPUTE:
        raise UserError(f"compute is {compute!r}; wanted one of {', '.join(COMPUTE)}")
    if wiener_frames is not None and wiener_frames < 1:
        raise UserError(f"wiener-frames is {wiener_frames}; wanted at least 1")
    if chunk_seconds is not None and not (isfinite(chunk_seconds) and chunk_seconds > 0):
        raise UserError(f"chunk-seconds is {chunk_seconds}; wanted a positive number")
    if overlap is not None and not 0 <= overlap < 1:
        raise UserError(f"overlap is {overlap}; wanted 0 <= overlap < 1")
    if protocol is not None:
        from xumx_jax.separation.protocols import PROTOCOLS

        if protocol not in PROTOCOLS:
            raise UserError(f"unknown protocol {protocol!r}; known: {', '.join(PROTOCOLS)}")
    if not (isfinite(transition_power) and transition_power >= 1):
        raise UserError(f"transition-power is {transition_power}; wanted 1 or more")
    if transition_power != 1 and protocol is None:
        raise UserError(
            f"transition-power is {transition_power} without protocol; use protocol demucs as well"
        )
    if batch is not None and batch < 1:
        raise UserError(f"batch is {batch}; wanted at least 1")
    if shifts != int(shifts) or shifts < 0:
        raise UserError(f"shifts is {shifts}; wanted 0 or a positive whole number")
    if seed != int(seed) or seed < 0:
        raise UserError(f"seed is {seed}; wanted 0 or a positive whole number")
    if seed and not shifts:
        raise UserError(f"seed is {seed} without shifts, which it would draw; use shifts as well")


def filter_options(model, post_filter: str | None, given: dict[str, Any]) -> dict[str, Any]:
    """The options of a model's post filter: `given` has those of USUAL, and "residual".

    Raises UserError if they do not fit the model.
    """
    from xumx_jax.postfilters import POST_FILTERS

    known = POST_FILTERS[post_filter] if post_filter else None
    takes = known.arguments if known else frozenset()
    for name, usual in USUAL.items():
        if name not in takes and given[name] not in usual:
            raise UserError(
                f"{name} is {given[name]}, but the model has no post filter that would use it; "
                f"use another post filter ({', '.join(POST_FILTERS)})"
            )
    if known is None:
        return {"residual": given["residual"]}
    sources = model.sources
    if model.transform is None:
        raise UserError(
            f"post filter {post_filter!r}: the model works on waveforms, and post filters "
            "on spectra; use none"
        )
    single = len(sources) == 1 and not given["residual"] and not known.alone
    if "niter" in takes and given["niter"] and single:
        raise UserError(
            f"the model has one source, {sources[0]}: the Wiener filter needs another "
            "to weigh it against; use a residual, or niter 0"
        )
    taken = {name: value for name, value in given.items() if name in takes}
    return {**taken, "residual": given["residual"], **known.options}


def usual_overlap(model, protocol: str | None) -> float:
    """The share of a chunk that overlaps the next, if none is given."""
    if protocol is None:
        return OVERLAP
    from xumx_jax.separation.protocols import PROTOCOLS

    return PROTOCOLS[protocol](model).overlap


class Progress:
    """Turn counts of samples into `callback(fraction, eta)`.

    `fraction` is the part done, rising from 0 to 1, and `eta` the seconds left, None while unknown.
    Without a `total` both are None. If the callback returns False, Cancelled is raised.
    """

    def __init__(self, callback: CALLBACK | None, total: float | None):
        self._callback, self._total = callback, total
        self._begin, self._fraction = time.monotonic(), 0.0

    def __call__(self, done: float) -> None:
        if self._callback is None:
            return
        fraction = eta = None
        if self._total:
            # stated lengths may be slightly wrong
            fraction = self._fraction = max(self._fraction, min(1.0, done / self._total))
            if fraction >= _EARLY:
                eta = (time.monotonic() - self._begin) * (1 - fraction) / fraction
        if self._callback(fraction, eta) is False:
            raise Cancelled("the separation was cancelled")


# {name: (module, class)}, imported when first used
ENGINES = {
    "chunked": ("xumx_jax.separation.chunked", "Chunked"),
    "umx": ("xumx_jax.separation.umx.offline", "Offline"),
    "slices": ("xumx_jax.separation.slices", "Slices"),
}


def make_engine(model, variables, options: EngineOptions):
    """Make the engine that the model names, or "chunked" if that does not take the options.

    Only "chunked" knows chunks without overlap, batches of chunks, other protocols, mid and side,
    and turned signs.
    """
    from xumx_jax.models.interface import optional  # which brings JAX along

    chunks = options.overlap == 0 or options.batch is not None
    chunks = chunks or options.protocol is not None or options.mid_side
    chunks = chunks or options.denoise
    for key in ("chunked",) if chunks else (optional(model, "engine"), "chunked"):
        module, name = ENGINES[key]
        engine = getattr(import_module(module), name)
        if engine.takes(options):
            return engine(model, variables, options)
    raise AssertionError("the engine for any model takes all options")
