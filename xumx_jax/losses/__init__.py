"""Training losses: functions of estimated stems, true stems and the mixture's waveform.

`build(name, **options)` returns `loss(est, ref, mix) -> (value, parts)`, where `est` and `ref` are
`Stems` (`ref.spec` holds the model's transform of the true sources), `mix` is
[batch, channel, time] and `parts` names the terms for the log, scalars or [source]. Spectra are
compared block by block. Combination losses compare the sums of every proper subset of the sources,
which lets the sources' networks learn from each other (Sawata et al. 2021). Scores for reports are
not here but in `xumx_jax.metrics`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from xumx_jax.errors import UserError
from xumx_jax.losses.combination import subsets
from xumx_jax.losses.magnitude import (
    combination_mse,
    complex_mse,
    complex_mse_mask_sum,
    mask_bce,
    mask_sum,
    mse,
)
from xumx_jax.losses.masked import masked_mse
from xumx_jax.losses.multi_domain import (
    check_filter,
    complex_multi_domain,
    multi_domain,
    si_sdr_multi_domain,
)
from xumx_jax.losses.multi_resolution import multi_resolution_l1
from xumx_jax.losses.segment_sdr import segment_sdr
from xumx_jax.losses.waveform import l1, negative_sdr, negative_si_sdr, sdr, weighted_sdr
from xumx_jax.stems import Stems

__all__ = ["LOSSES", "Loss", "build", "check", "combination_mse", "subsets", "weighted_sdr"]


class Loss(NamedTuple):
    """A row of LOSSES.

    function  (est, ref, mix, **options) -> (value, parts)
    options   {option: default}; the function annotates those that are None
    needs     the fields of `Stems` that a model must return
    required  {option: what it is} for options that must be given
    transform whether the function also takes `transform`, that of the model
    check     (name, options): raises UserError on options that make no sense
    """

    function: Callable
    options: dict[str, Any]
    needs: tuple[str, ...]
    required: dict[str, str] = {}
    transform: bool = False
    check: Callable[[str, dict[str, Any]], None] | None = None


LOSSES = {
    "mse": Loss(mse, {"combinations": True, "power": 1}, ("spec",), transform=True),
    "complex_mse": Loss(complex_mse, {"combinations": True}, ("spec",), transform=True),
    "mask_bce": Loss(mask_bce, {"combinations": True}, ("mask", "spec"), transform=True),
    "mask_sum": Loss(mask_sum, {}, ("mask",), transform=True),
    "complex_mse_mask_sum": Loss(
        complex_mse_mask_sum,
        {"combinations": True, "mask_coef": 1.0},
        ("mask", "spec"),
        transform=True,
    ),
    "l1": Loss(l1, {"combinations": False}, ("wave",)),
    "masked_mse": Loss(masked_mse, {"q": 0.95, "coarse": True}, ("wave",)),
    "multi_resolution_l1": Loss(
        multi_resolution_l1,
        {"windows": (4096, 2048, 1024, 512, 256), "n_fft": 2048, "hop": 147, "weight": 1.0},
        ("wave",),
    ),
    "negative_sdr": Loss(negative_sdr, {}, ("wave",)),
    "negative_si_sdr": Loss(negative_si_sdr, {"combinations": True, "floor": 1e-8}, ("wave",)),
    "weighted_sdr": Loss(sdr, {"combinations": True, "trim": 200, "floor": 1e-10}, ("wave",)),
    "multi_domain": Loss(
        multi_domain,
        {"mcoef": 10.0, "combinations": True, "trim": 200, "power": 1},
        ("spec", "wave"),
        transform=True,
    ),
    "si_sdr_multi_domain": Loss(
        si_sdr_multi_domain,
        {"mcoef": 0.1, "combinations": True, "power": 1, "original": False},
        ("spec", "wave"),
        transform=True,
    ),
    "complex_multi_domain": Loss(
        complex_multi_domain,
        {
            "mcoef": 10.0,
            "magnitudes": False,
            "combinations": True,
            "trim": 0,
            "floor": 0.0,
            "niter": 0,
            "softmask": False,
            "alpha": 1.0,
        },
        ("spec", "wave"),
        transform=True,
        check=check_filter,
    ),
    "segment_sdr": Loss(
        segment_sdr,
        {"bands": None, "frames": 43, "share": 0.05, "floor": 1e-3, "silent": 1.0},
        ("mask", "spec"),
        {"bands": "the band edges of the model"},
    ),
}
# What a loss compares, and why a model does not have it.
MISSING = {
    "spec": ("spectra", "works on waveforms"),
    "mask": ("masks", "gives none"),
}


def build(name: str, transform=None, **options):
    """Make the loss called `name`, a key of LOSSES; `options` replace its defaults.

    `transform` is the model's, which losses with a filter need, and which tells how to compare many
    blocks at once.

    mcoef         weight of the time-domain term
    mask_coef     weight of the masks' term
    q             quantile of a batch's errors from which on they do not count
    coarse        of errors of whole items, else of samples
    windows       lengths of the windows of spectra, in samples
    n_fft         least length of their transforms, in samples
    hop           of these, in samples
    weight        of their differences, for each window
    combinations  compare all proper subsets of the sources, else each source alone
    trim          samples left out at both ends of waveforms, as NNabla's X-UMX does
    power         exponent of the true magnitudes, equal to the model's
    bands         the model's band edges, or those of each of its blocks
    frames        length of a segment, in frames
    share         of a segment's mixture energy, added to the energy of source and error
    floor         energy that is added as well, so that silence counts for nothing
    silent        weight of segments in which a source is silent; 1: that of all others
    magnitudes    compare magnitudes before the filter instead of complex spectra after it
    niter         iterations of AIMLESS's Wiener filter, which the estimate goes through; 0: none
    softmask      the filter begins with ratio masks, also if there is no iteration
    alpha         exponent of magnitudes in ratio masks
    original      as xumx-sliCQ computes it, instead of as it is meant

    Raises UserError on an unknown name or option, and on options of the filter that make no sense.
    """
    if name not in LOSSES:
        raise UserError(f"unknown loss {name!r}; known: {', '.join(LOSSES)}")
    loss = LOSSES[name]
    if unknown := set(options) - set(loss.options):
        raise UserError(f"loss {name!r} has no option {', '.join(sorted(unknown))}")
    for option, what in loss.required.items():
        if options.get(option) is None:
            raise UserError(f"loss {name!r} needs {what} as option {option}")
    chosen = loss.options | options
    if loss.check is not None:
        loss.check(name, chosen)
    given = {"transform": transform} if loss.transform else {}
    return partial(loss.function, **chosen, **given)


def check(name: str, model_name: str, model, **options) -> None:
    """Raise UserError, in one line, unless the loss can be computed from what the model returns.

    Only shapes are computed, and only for losses that need the model's own fields.
    """
    loss = build(name, model.transform, **options)
    if missing := _missing(name, model):
        what, why = MISSING[missing]
        fitting = [other for other in LOSSES if not _missing(other, model)]
        raise UserError(
            f"loss {name!r} compares {what}, and model {model_name!r} {why}; "
            f"wanted one of {', '.join(fitting)}"
        )
    if "mask" not in LOSSES[name].needs:
        return
    est, mix = _estimate(model)
    truth = jax.ShapeDtypeStruct((*est.wave.shape[:-1], mix.shape[-1]), jnp.float32)
    ref = jax.eval_shape(lambda wave: Stems(wave, model.transform.forward(wave)), truth)
    try:
        jax.eval_shape(loss, est, ref, mix)
    except (TypeError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise UserError(f"loss {name!r} does not fit model {model_name!r}: {first}") from error


def _missing(name: str, model) -> str | None:
    """The first field that a loss needs and a model does not return."""
    needs = LOSSES[name].needs
    if {"spec", "mask"} & set(needs) and model.transform is None:
        return "spec"
    if "mask" in needs and not _estimate(model)[0].mask:
        return "mask"
    return None


def _estimate(model):
    """Shapes of a model's estimate for a mixture, and of the mixture, [batch, channel, time]."""
    segment = model.segment
    length = segment.fit(segment.usual)
    mix = jax.ShapeDtypeStruct((1, model.channels, length), jnp.float32)
    key = jax.eval_shape(lambda: jax.random.key(0))
    est, _ = jax.eval_shape(model.init_with_output, key, mix)
    return est, mix
