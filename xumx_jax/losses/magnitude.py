"""Losses that compare magnitudes of spectra."""

import jax.numpy as jnp
import numpy as np
from jax import Array

from xumx_jax.losses import blocks
from xumx_jax.losses.combination import groups_of
from xumx_jax.stems import Stems


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
