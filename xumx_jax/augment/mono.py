"""Play sources in mono, so that a network does not rely on where in the stereo picture they are."""

import jax
import jax.numpy as jnp
from jax import Array


def mono(stems: Array, key, *, probability: float = 0.1) -> Array:
    """Replace the channels of a source by their mean, each source with that probability."""
    if not 0 <= probability <= 1:
        raise ValueError(f"probability is {probability}, wanted 0 to 1")
    chosen = jax.random.uniform(key, stems.shape[:1]) < probability
    return jnp.where(chosen[:, None, None], stems.mean(1, keepdims=True), stems)
