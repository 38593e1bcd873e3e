"""Dropout that is the same on any number of devices."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax


def dropout(key: Array, x: Array, rate: float, axis_name: str | None = None) -> Array:
    """Zero a share `rate` of [source, frame, batch, hidden], and scale the rest.

    An item's mask depends on its index in the whole batch, which the devices along `axis_name`
    divide in order. Srivastava et al. 2014.
    """
    sources, frames, batch, hidden = x.shape
    first = 0 if axis_name is None else batch * lax.axis_index(axis_name)
    keys = jax.vmap(partial(jax.random.fold_in, key))(first + jnp.arange(batch))
    kept = partial(jax.random.bernoulli, p=1 - rate, shape=(sources, frames, hidden))
    return jnp.where(jax.vmap(kept, out_axes=2)(keys), x / (1 - rate), 0)
