"""Losses that compare spectra: magnitudes, complex values, masks."""

import jax.numpy as jnp
import numpy as np
from jax import Array

from xumx_jax.losses import blocks
from xumx_jax.losses.combination import groups_of, over_groups, total
from xumx_jax.stems import Stems

QUIET = 1e-10  # added to the power of a bin, so that silence has shares: 0
LEAST_LOG = -100.0  # of masks that are 0 or 1, as PyTorch's cross-entropy has it


def combination_mse(est: Array, ref: Array, groups: np.ndarray) -> Array:
    """Mean squared error between summed magnitudes [batch, source, ...], mean over all groups."""
    return squares(est - ref, groups).mean()


def squares(error: Array, groups: np.ndarray) -> Array:
    """Square sums of errors [batch, source, ...] over sources, mean over all groups, [batch, ...].

    The square of a sum is a quadratic form in the sources' errors e with weights, over all groups,
    of `own` for the square of a source's and `cross` for the product of two, the same for any two:
    (own - cross) * sum e^2 + cross * (sum e)^2. No group's sum is ever stored.
    """
    weights = groups.T @ groups / len(groups)
    own, cross = weights[0, 0], weights[0, 1] if len(weights) > 1 else 0.0
    return (own - cross) * jnp.square(error).sum(1) + cross * jnp.square(error.sum(1))


def mse(est: Stems, ref: Stems, mix: Array, *, combinations: bool, power: int, transform=None):
    """`combination_mse` of magnitudes, mean over the transform's blocks."""
    groups = groups_of(est, combinations)
    values = []
    sizes = est.magnitude or est.spec
    for average, (size, truth) in blocks.pieces(transform, sizes, ref.spec, frames_first=True):
        size = size if est.magnitude else jnp.abs(size)
        # a masked spectrum already has the model's power; the truth is raised to it here
        values.append(average(squares(size - jnp.abs(truth) ** power, groups)))
    value = blocks.mean(values)
    return value, {"mse": value}


def complex_mse(est: Stems, ref: Stems, mix: Array, *, combinations: bool, transform=None):
    """`combination_mse` of complex spectra, |difference|^2, mean over the transform's blocks."""
    groups = groups_of(est, combinations)
    values = []
    for average, (spec, truth) in blocks.pieces(transform, est.spec, ref.spec):
        error = spec - truth
        values.append(average(squares(error.real, groups) + squares(error.imag, groups)))
    value = blocks.mean(values)
    return value, {"complex_mse": value}


def mask_bce(est: Stems, ref: Stems, mix: Array, *, combinations: bool, transform=None):
    """Binary cross-entropy between masks and the true sources' shares of the power.

    A group's mask is the sum of its sources' masks; where that is not between 0 and 1 it is cut
    and has no gradient. Mean over groups, and over the transform's blocks.
    """
    groups = groups_of(est, combinations)
    values = []
    for average, (mask, truth) in blocks.pieces(transform, est.mask, ref.spec):
        power = jnp.square(truth.real) + jnp.square(truth.imag)
        share = power / (power.sum(1, keepdims=True) + QUIET)

        def measure(row, mask=mask, share=share, average=average):
            return average(cross_entropy(total(mask, row), total(share, row)))

        values.append(over_groups(measure, groups))
    value = blocks.mean(values)
    return value, {"bce": value}


def mask_sum(est: Stems, ref: Stems, mix: Array, *, transform=None):
    """Mean square by which the masks of all sources miss adding up to 1, mean over blocks.

    Raises ValueError if the estimate has no masks.
    """
    if not est.mask:
        raise ValueError("mask_sum: the estimate has no masks; wanted a model that gives them")
    values = [
        average(jnp.square(mask.sum(1) - 1))
        for average, (mask,) in blocks.pieces(transform, est.mask)
    ]
    value = blocks.mean(values)
    return value, {"mask_sum": value}


def complex_mse_mask_sum(
    est: Stems, ref: Stems, mix: Array, *, combinations: bool, mask_coef: float, transform=None
):
    """`complex_mse` plus `mask_coef` times `mask_sum`, as xumx-sliCQ-V2 trains."""
    in_frequency, parts = complex_mse(est, ref, mix, combinations=combinations, transform=transform)
    of_masks, more = mask_sum(est, ref, mix, transform=transform)
    return in_frequency + mask_coef * of_masks, parts | more


def cross_entropy(mask: Array, share: Array) -> Array:
    """Binary cross-entropy of a mask, cut to between 0 and 1, where `share` would be right."""
    return -share * _log(mask) - (1 - share) * _log(1 - mask)


def _log(values: Array) -> Array:
    """Logarithm of values cut to between 0 and 1, at least LEAST_LOG, with gradient 0 where cut."""
    inside = (values > 0) & (values < 1)
    logs = jnp.where(values > 0, jnp.log(jnp.where(inside, values, 1)), LEAST_LOG)
    return jnp.maximum(logs, LEAST_LOG)
