"""Dropout that is the same on any number of devices, and for a batch computed in parts."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax

_first: ContextVar[Array | None] = ContextVar("first item", default=None)


@contextmanager
def items_from(first: Array) -> Iterator[None]:
    """What is traced within this context has items from `first` of the whole batch on."""
    token = _first.set(first)
    try:
        yield
    finally:
        _first.reset(token)


def dropout(key: Array, x: Array, rate: float, axis_name: str | None = None) -> Array:
    """Zero a share `rate` of [source, frame, batch, hidden], and scale the rest.

    An item's mask depends on its index in the whole batch, which the devices along `axis_name`
    divide in order, each from the item on that `items_from` says, if it does. Srivastava et al.
    2014.
    """
    sources, frames, batch, hidden = x.shape
    first = _first.get()
    if first is None:
        first = 0 if axis_name is None else batch * lax.axis_index(axis_name)
    keys = jax.vmap(partial(jax.random.fold_in, key))(first + jnp.arange(batch))
    kept = partial(jax.random.bernoulli, p=1 - rate, shape=(sources, frames, hidden))
    return jnp.where(jax.vmap(kept, out_axes=2)(keys), x / (1 - rate), 0)
