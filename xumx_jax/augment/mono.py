"""Play sources in mono, so that a network does not rely on where in the stereo picture they are."""

import jax
import jax.numpy as jnp
from jax import Array

from xumx_jax.augment.selection import check_probability


def mono(stems: Array, key, *, probability: float = 0.1) -> Array:
    """Replace the channels of a source by their mean, each source with that probability."""
    check_probability(probability)
    chosen = jax.random.uniform(key, stems.shape[:1]) < probability
    return jnp.where(chosen[:, None, None], stems.mean(1, keepdims=True), stems)
