"""Losses that compare spectra and waveforms together: X-UMX's and AIMLESS's."""

from functools import partial
from math import isfinite
from numbers import Integral, Real
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from xumx_jax.errors import UserError
from xumx_jax.losses.magnitude import complex_mse, mse
from xumx_jax.losses.waveform import negative_si_sdr, sdr
from xumx_jax.postfilters import flattened, mwf
from xumx_jax.stems import Stems


def multi_domain(
    est: Stems, ref: Stems, mix: Array, *, mcoef: float, combinations, trim, power, transform=None
):
    """`mse` plus `mcoef` times `weighted_sdr` (Sawata et al. 2021, equation 6)."""
    in_frequency, parts = mse(
        est, ref, mix, combinations=combinations, power=power, transform=transform
    )
    in_time, more = sdr(est, ref, mix, combinations=combinations, trim=trim)
    return in_frequency + mcoef * in_time, parts | more


def si_sdr_multi_domain(
    est: Stems,
    ref: Stems,
    mix: Array,
    *,
    mcoef: float,
    combinations,
    power,
    original,
    transform=None,
):
    """`mse` plus `mcoef` times `negative_si_sdr`: xumx-sliCQ's loss as it is meant.

    With `original` as its program computes it: the magnitudes of each source alone, and no gradient
    of the SI-SDR.
    """
    together = combinations and not original
    in_frequency, parts = mse(
        est, ref, mix, combinations=together, power=power, transform=transform
    )
    in_time, more = negative_si_sdr(est, ref, mix, combinations=combinations, floor=1e-8)
    if original:
        in_time = lax.stop_gradient(in_time)
    return in_frequency + mcoef * in_time, parts | more


def check_filter(name: str, options: dict[str, Any]) -> None:
    """Raise UserError on options of a filter that make no sense, or do nothing."""
    niter, softmask, alpha = (options[key] for key in ("niter", "softmask", "alpha"))
    if not isinstance(niter, Integral | int) or niter < 0:
        raise UserError(f"loss {name!r}: niter is {niter!r}; wanted 0 or a positive whole number")
    if not (isinstance(alpha, Real | float) and isfinite(alpha) and float(alpha) > 0):
        raise UserError(f"loss {name!r}: alpha is {alpha!r}; wanted a positive number")
    if alpha != 1 and not softmask:
        raise UserError(f"loss {name!r}: alpha is {alpha} without softmask, which would use it")


def complex_multi_domain(
    est: Stems,
    ref: Stems,
    mix: Array,
    *,
    transform,
    mcoef: float,
    magnitudes: bool,
    combinations: bool,
    trim: int,
    floor: float,
    niter: int,
    softmask: bool,
    alpha: float,
):
    """`complex_mse` plus `mcoef` times `weighted_sdr`, after AIMLESS's Wiener filter (`mwf`).

    The filter is that of `niter` iterations, `softmask` and `alpha`; with 0 and no `softmask` there
    is none. With `magnitudes`, `mse` of the spectra before the filter takes the first place.
    """
    filtered, options = est, {"combinations": combinations, "transform": transform}
    if niter or softmask:
        if transform is None:
            raise UserError("complex_multi_domain: its filter needs the transform of the spectra")
        filtered = after_filter(est, mix, transform, niter, softmask, alpha)
    if magnitudes:
        in_frequency, parts = mse(est, ref, mix, power=1, **options)
    else:
        in_frequency, parts = complex_mse(filtered, ref, mix, **options)
    in_time, more = sdr(filtered, ref, mix, combinations=combinations, trim=trim, floor=floor)
    return in_frequency + mcoef * in_time, parts | more


def after_filter(est: Stems, mix: Array, transform, niter: int, softmask, alpha) -> Stems:
    """The estimate after AIMLESS's Wiener filter, spectra and waveforms.

    Statistics are those of each item, block by block, and scaled as the batch's loudest bin asks;
    on several devices that is each device's part of the batch, which only moves how much the
    regularisation weighs.
    """
    spec = []
    for estimate, block in zip(est.spec, transform.forward(mix), strict=True):
        run = partial(
            mwf,
            niter=niter,
            softmask=softmask,
            alpha=alpha,
            loudest=jnp.abs(block).max(),
            bins_at_once=None,
        )
        axes = block.ndim - 3  # after the bins: frames, or slices and coefficients
        flat = jax.vmap(run)(flattened(estimate, axes), flattened(block, axes))
        spec.append(flat.reshape(estimate.shape))
    return Stems(transform.inverse(tuple(spec), est.wave.shape[-1]), tuple(spec))
