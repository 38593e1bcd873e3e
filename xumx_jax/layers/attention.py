"""Softmax attention between two sequences."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax

from xumx_jax.layers.dense import asked, contract

SCORES = 1 << 20  # scores that a processor keeps at hand: of more, one head comes after another


def attended(queries: Array, keys: Array, values: Array, dtype: str = "float32") -> Array:
    """[item, position, head, feature] for each position of the queries, from those of the keys.

    Products are divided by the root of the number of features of `values`. The gradient computes
    the scores again (Rabe and Staats 2021, "Self-attention Does Not Need O(n^2) Memory"): of long
    sequences they are most of what a network has in memory.
    """
    items, _, heads, _ = queries.shape
    parts = queries * values.shape[-1] ** -0.5, keys, values
    rows = [jnp.moveaxis(x, 2, 1).reshape(-1, x.shape[1], x.shape[3]) for x in parts]
    made: Array = _attended(asked(dtype), *rows)  # pyright: ignore[reportAssignmentType]
    return jnp.moveaxis(made.reshape(items, heads, -1, values.shape[-1]), 1, 2)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _attended(dtype: str, queries: Array, keys: Array, values: Array) -> Array:
    """[row, position, feature], where rows are all heads of all items."""
    return _forward(dtype, queries, keys, values)[0]


def _forward(dtype, queries, keys, values):
    def one(queries, keys, values):
        scores = contract("nd,md->nm", queries, keys, dtype)
        highest = scores.max(-1, keepdims=True)
        weights = jnp.exp(scores - highest)
        total = weights.sum(-1, keepdims=True)
        return contract("nm,md->nd", weights, values, dtype) / total, highest + jnp.log(total)

    made, level = _by_rows(one, queries, keys, values)
    return made, (queries, keys, values, made, level)


def _backward(dtype, saved, dmade):
    def one(queries, keys, values, made, level, dmade):
        # Keys by queries: so two of the three products below read rows, and one columns.
        inner = (dmade * made).sum(-1)
        weights = jnp.exp(contract("md,nd->mn", keys, queries, dtype) - level[:, 0])
        dweights = contract("md,nd->mn", values, dmade, dtype)
        dscores = weights * (dweights - inner)
        dqueries = contract("mn,md->nd", dscores, keys, dtype)
        dkeys = contract("mn,nd->md", dscores, queries, dtype)
        return dqueries, dkeys, contract("mn,nd->md", weights, dmade, dtype)

    return _by_rows(one, *saved, dmade)


_attended.defvjp(_forward, _backward)


def _by_rows(function: Callable, *parts: Array):
    """Apply a function of single rows to all, on a CPU one after the other if they are long."""
    at_once, (queries, keys, *_) = jax.vmap(function), parts
    if queries.shape[0] * queries.shape[1] * keys.shape[1] <= SCORES:
        return at_once(*parts)

    def in_turn(*parts):
        return lax.map(lambda row: function(*row), parts)

    return lax.platform_dependent(*parts, cpu=in_turn, default=at_once)
