"""Initial weights that several layers have in common."""

import jax
from jax.typing import ArrayLike


def symmetric(limit: ArrayLike):
    """An initializer, uniform between -limit and limit: PyTorch's for most of its layers.

    The limit is a number, or an array that is broadcast to the shape of the weights.
    """

    def uniform(key, shape) -> jax.Array:
        return jax.random.uniform(key, shape) * (2 * limit) - limit

    return uniform
