"""Gradients of a batch that is computed part by part, since a device cannot hold all of it.

A run that goes on with fewer devices has more examples on each. Computed in micro-batches, they
take the memory of one; the sum of their gradients is that of the whole batch.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from xumx_jax.layers.dropout import items_from

STATISTICS = "batch_stats"  # the collection of running statistics, which a batch updates


def parts_of(rows: int, largest: int | None) -> int:
    """The least number of equal parts of `rows` examples that have at most `largest` each."""
    if largest is None:
        return 1
    return next(parts for parts in range(-(-rows // largest), rows + 1) if rows % parts == 0)


def value_and_grad(
    objective: Callable, params: Any, batch: tuple[Array, ...], largest: int | None, axis: str
) -> tuple[tuple[Array, tuple[dict, dict]], Any]:
    """Differentiate `objective(params, *batch)` -> ((loss, (terms, collections)), gradients).

    The loss is a mean over the leading axis of the arrays in `batch`, this replica's share of what
    the devices along `axis` have. It is computed for at most `largest` rows at a time (None: all),
    and then collections have to be constant: a part cannot update statistics of the whole.
    """
    rows = batch[0].shape[0]
    parts, differentiate = parts_of(rows, largest), jax.value_and_grad(objective, has_aux=True)
    if parts == 1:
        return differentiate(params, *batch)
    size = rows // parts
    split = tuple(x.reshape(parts, size, *x.shape[1:]) for x in batch)

    def one(so_far, numbered):
        number, part = numbered
        with items_from(lax.axis_index(axis) * rows + number * size):
            (value, (terms, collections)), grads = differentiate(params, *part)
        assert STATISTICS not in collections, "of a batch that is never there as a whole"
        return jax.tree.map(jnp.add, so_far, grads), ((value, terms), collections)

    zeros = jax.tree.map(jnp.zeros_like, params)
    total, (values, collections) = lax.scan(one, zeros, (jnp.arange(parts), split))
    value, terms = jax.tree.map(lambda x: x.mean(0), values)
    constant = jax.tree.map(lambda x: x[-1], collections)
    return (value, (terms, constant)), jax.tree.map(lambda g: g / parts, total)
