"""Positions for attention: rotary embedding (Su et al. 2021) and its polar form.

Rotary embedding turns pairs of features by angles that grow with the position, each pair at its own
frequency, so that products of queries and keys depend on the distance alone. The polar form
("PoPE") has a frequency for every feature, whose sign it replaces by a phase that is learned.
"""

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax import nn as jnn

BASE = 10_000.0
KINDS = ("rotary", "polar")


def frequencies(kind: str, size: int) -> np.ndarray:
    """Radians from one position to the next for heads of `size` features, the usual ones."""
    count = size // 2 if kind == "rotary" else size
    return (BASE ** (-np.arange(count) / count)).astype(np.float32)


def angles(positions: int, frequencies: Array) -> Array:
    """[position, frequency], in radians."""
    return jnp.arange(positions, dtype=jnp.float32)[:, None] * frequencies


def rotary(queries: Array, keys: Array, angle: Array) -> tuple[Array, Array]:
    """Turn [..., position, head, feature]: of each pair, one is in each half of the features."""
    cos, sin = jnp.cos(angle)[:, None], jnp.sin(angle)[:, None]

    def turned(x):
        a, b = jnp.split(x, 2, axis=-1)
        return jnp.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)

    return turned(queries), turned(keys)


def polar(queries: Array, keys: Array, angle: Array, phase: Array) -> tuple[Array, Array]:
    """Give [..., position, head, feature] a direction for each feature: twice as many.

    `phase`, [head, feature], is added to the angles of keys; it counts from -2 pi to 0.
    """

    def placed(x, angle):
        size = jnn.softplus(x)
        return jnp.concatenate([size * jnp.cos(angle), size * jnp.sin(angle)], axis=-1)

    angle = angle[:, None]
    return placed(queries, angle), placed(keys, angle + jnp.clip(phase, -2 * np.pi, 0))
