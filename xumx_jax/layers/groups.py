"""Items some at a time, so that little is in memory on the way."""

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array


def by_groups(run: Callable[[Array], Array], x: Array, size: int) -> Array:
    """Apply `run`, which maps [group, size, ...] group by group, to the items of [item, ...].

    The last group is filled up with zeros, of which nothing is returned.
    """
    items = len(x)
    groups = -(-items // size)
    wider = jnp.pad(x, [(0, groups * size - items), *[(0, 0)] * (x.ndim - 1)])
    made = run(wider.reshape(groups, size, *x.shape[1:]))
    return made.reshape(-1, *made.shape[2:])[:items]
