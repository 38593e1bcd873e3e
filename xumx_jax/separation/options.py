"""Which options of a Separator make sense; checked before anything heavy is imported."""

from math import isfinite

from xumx_jax.errors import UserError

# Two programs' Wiener filters: what `wiener` is told, and how many frames it is given at a time
# (None: as many as a block of the track has).
FILTERS = {
    "norbert": ({}, None),
    "openunmix": ({"epsilon": 1e-10, "difference": True}, 300),
}


def check_options(
    niter=1,
    softmask=False,
    alpha=1.0,
    logit=None,
    chunk_seconds=None,
    overlap=0.25,
    batch=None,
    filter=None,
    wiener_frames=None,
    shifts=0,
    seed=0,
):
    """Raise UserError on the first option that makes no sense."""
    if niter != int(niter) or niter < 0:
        raise UserError(f"niter is {niter}; wanted 0 or a positive whole number")
    if not (isfinite(alpha) and alpha > 0):
        raise UserError(f"alpha is {alpha}; wanted a positive number")
    if alpha != 1 and not softmask:
        raise UserError(f"alpha is {alpha} without softmask; alpha acts with softmask alone")
    if logit is not None and not 0 < logit < 1:
        raise UserError(f"logit is {logit}; wanted a number between 0 and 1")
    if logit is not None and not softmask:
        raise UserError(f"logit is {logit} without softmask; logit acts with softmask alone")
    if filter is not None and filter not in FILTERS:
        raise UserError(f"unknown filter {filter!r}; known: {', '.join(FILTERS)}")
    if wiener_frames is not None and wiener_frames < 1:
        raise UserError(f"wiener-frames is {wiener_frames}; wanted at least 1")
    if chunk_seconds is not None and not (isfinite(chunk_seconds) and chunk_seconds > 0):
        raise UserError(f"chunk-seconds is {chunk_seconds}; wanted a positive number")
    if not 0 <= overlap < 1:
        raise UserError(f"overlap is {overlap}; wanted 0 <= overlap < 1")
    if batch is not None and batch < 1:
        raise UserError(f"batch is {batch}; wanted at least 1")
    if shifts != int(shifts) or shifts < 0:
        raise UserError(f"shifts is {shifts}; wanted 0 or a positive whole number")
    if seed != int(seed) or seed < 0:
        raise UserError(f"seed is {seed}; wanted 0 or a positive whole number")


def whole_rate(rate) -> int:
    """A sample rate of any type of number, in hertz. Raises UserError unless it is a whole one."""
    if rate < 1 or rate != int(rate):
        raise UserError(f"the sample rate is {rate}; wanted a whole number of hertz")
    return int(rate)
