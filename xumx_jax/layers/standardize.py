"""Zero mean and unit deviation before a network, and back behind it."""

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

OFFSET = 1e-5  # added to a deviation, so that silence is not divided by 0
TRACK_OFFSET = 1e-8  # the same where the statistics are those of a track


def deviation(x: Array, axes: tuple[int, ...], mean: Array) -> Array:
    """The sample deviation (over count - 1, as PyTorch's `std`) of an array with this mean."""
    count = 1
    for axis in axes:
        count *= x.shape[axis]
    squares = jnp.square(x - mean).sum(axes, keepdims=True)
    # the square root of 0 has no gradient
    return jnp.sqrt(jnp.where(squares > 0, squares, 1) / max(count - 1, 1)) * (squares > 0)


def standardize(x: Array) -> tuple[Array, Array, Array]:
    """Standardise each item of [batch, ...] -> (the same, mean, deviation)."""
    axes = tuple(range(1, x.ndim))
    mean = x.mean(axes, keepdims=True)
    spread = deviation(x, axes, mean)
    return (x - mean) / (spread + OFFSET), mean, spread


def standardize_mono(mix: Array) -> tuple[Array, Array, Array]:
    """Standardise [batch, channel, time] by mean and deviation of the channels' mean."""
    mono = mix.mean(1, keepdims=True)
    mean = mono.mean(-1, keepdims=True)
    spread = deviation(mono, (-1,), mean)
    return (mix - mean) / (spread + OFFSET), mean, spread


def with_peak(
    separate: Callable[[Array], Array], mix: Array, peak: Array | None, most: float
) -> Array:
    """Separate a mixture that is made so quiet that the track's peak, [], is `most` at most.

    The stems are made as loud again; None changes nothing.
    """
    if peak is None:
        return separate(mix)
    gain = most / jnp.maximum(peak, most)
    return separate(mix * gain) / gain


def with_statistics(
    separate: Callable[[Array], Array],
    mix: Array,
    statistics: Array | None,
    offset: float = TRACK_OFFSET,
) -> Array:
    """Separate a mixture that is standardised by a whole track's mean and deviation, [2].

    `offset` is added to the deviation; with 0, that of silence is taken to be 1. The stems get the
    same deviation and mean, as in the Demucs package; None changes nothing.
    """
    if statistics is None:
        return separate(mix)
    mean, spread = statistics
    divisor = spread + offset if offset else jnp.where(spread > 0, spread, 1)
    return separate((mix - mean) / divisor) * spread + mean
