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
    """Mean squared error between summed magnitudes [batch, source, ...], mean over all groups.

    The square of a sum is a quadratic form in the sources' errors e with weights, over all groups,
    of `own` for the square of a source's and `cross` for the product of two, the same for any two:
    (own - cross) * sum e^2 + cross * (sum e)^2. No group's sum is ever stored.
    """
    weights = groups.T @ groups / len(groups)
    own, cross = weights[0, 0], weights[0, 1] if len(weights) > 1 else 0.0
    error = est - ref
    squares = (own - cross) * jnp.square(error).sum(1) + cross * jnp.square(error.sum(1))
    return squares.mean()


def mse(est: Stems, ref: Stems, mix: Array, *, combinations: bool, power: int):
    """`combination_mse` of magnitudes, mean over the transform's blocks."""
    groups = groups_of(est, combinations)
    sizes = est.magnitude or tuple(map(jnp.abs, est.spec))
    values = []
    for size, truth in zip(sizes, ref.spec, strict=True):
        # a masked spectrum already has the model's power; the truth is raised to it here
        truth = jnp.abs(truth) ** power
        # [..., bin, frame] -> [..., frame, bin], as both were computed
        values.append(combination_mse(size.swapaxes(-1, -2), truth.swapaxes(-1, -2), groups))
    value = blocks.mean(values)
    return value, {"mse": value}


def complex_mse(est: Stems, ref: Stems, mix: Array, *, combinations: bool):
    """`combination_mse` of complex spectra, |difference|^2, mean over the transform's blocks."""
    groups = groups_of(est, combinations)
    values = [
        combination_mse(a.real, b.real, groups) + combination_mse(a.imag, b.imag, groups)
        for a, b in zip(est.spec, ref.spec, strict=True)
    ]
    value = blocks.mean(values)
    return value, {"complex_mse": value}


def mask_bce(est: Stems, ref: Stems, mix: Array, *, combinations: bool):
    """Binary cross-entropy between masks and the true sources' shares of the power.

    A group's mask is the sum of its sources' masks; where that is not between 0 and 1 it is cut
    and has no gradient. Mean over groups, and over the transform's blocks.
    """
    groups = groups_of(est, combinations)
    values = []
    for mask, truth in zip(est.mask, ref.spec, strict=True):
        power = jnp.square(truth.real) + jnp.square(truth.imag)
        share = power / (power.sum(1, keepdims=True) + QUIET)

        def measure(row, mask=mask, share=share):
            return cross_entropy(total(mask, row), total(share, row)).mean()

        values.append(over_groups(measure, groups))
    value = blocks.mean(values)
    return value, {"bce": value}


def cross_entropy(mask: Array, share: Array) -> Array:
    """Binary cross-entropy of a mask, cut to between 0 and 1, where `share` would be right."""
    return -share * _log(mask) - (1 - share) * _log(1 - mask)


def _log(values: Array) -> Array:
    """Logarithm of values cut to between 0 and 1, at least LEAST_LOG, with gradient 0 where cut."""
    inside = (values > 0) & (values < 1)
    logs = jnp.where(values > 0, jnp.log(jnp.where(inside, values, 1)), LEAST_LOG)
    return jnp.maximum(logs, LEAST_LOG)
