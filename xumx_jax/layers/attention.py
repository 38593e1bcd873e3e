"""Softmax attention between two sequences."""

import jax.numpy as jnp
from jax import Array, lax
from jax import nn as jnn

from xumx_jax.layers.dense import contract

SCORES = 1 << 20  # scores that a processor keeps at hand: of more, one head comes after another


def attended(queries: Array, keys: Array, values: Array, dtype: str = "float32") -> Array:
    """[item, position, head, feature] for each position of the queries, from those of the keys.

    Products are divided by the root of the number of features of `values`.
    """
    items, positions, heads, _ = queries.shape
    queries = queries * values.shape[-1] ** -0.5

    def at_once(queries, keys, values):
        scores = contract("inhd,imhd->ihnm", queries, keys, dtype)
        return contract("ihnm,imhd->inhd", jnn.softmax(scores), values, dtype)

    def by_heads(*parts):
        def one(parts):
            queries, keys, values = parts
            scores = contract("nd,md->nm", queries, keys, dtype)
            return contract("nm,md->nd", jnn.softmax(scores), values, dtype)

        rows = [jnp.moveaxis(x, 2, 1).reshape(-1, x.shape[1], x.shape[3]) for x in parts]
        made = lax.map(one, tuple(rows))
        return jnp.moveaxis(made.reshape(items, heads, positions, -1), 1, 2)

    if items * heads * positions * keys.shape[1] <= SCORES:
        return at_once(queries, keys, values)
    return lax.platform_dependent(queries, keys, values, cpu=by_heads, default=at_once)
