"""Softmax attention by its definition, and its gradient, whether rows are taken at once or not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xumx_jax.layers import attention
from xumx_jax.layers.attention import attended
from xumx_jax.layers.dense import autocast

pytestmark = pytest.mark.usefixtures("quick_compile")
# items, positions of queries and of keys, heads, features of keys and of values
ITEMS, QUERIES, KEYS, HEADS, FEATURES, VALUES = 2, 5, 7, 3, 4, 6


def drawn():
    rng = np.random.default_rng(0)
    shapes = (QUERIES, FEATURES), (KEYS, FEATURES), (KEYS, VALUES), (QUERIES, VALUES)
    return [rng.standard_normal((ITEMS, n, HEADS, d)).astype(np.float32) for n, d in shapes]


def definition(queries, keys, values):
    scores = jnp.einsum("inhd,imhd->ihnm", queries, keys) / VALUES**0.5
    return jnp.einsum("ihnm,imhd->inhd", jax.nn.softmax(scores), values)


@pytest.mark.parametrize("scores", [0, 1 << 20])
def test_values_and_gradients_are_those_of_the_definition(scores, monkeypatch):
    monkeypatch.setattr(attention, "SCORES", scores)
    *given, turned = drawn()
    for many in (1.0, 40.0):  # where nearly all of a softmax is in one place
        scaled = [many * given[0], *given[1:]]
        found, back = jax.vjp(jax.jit(attended), *scaled)
        wanted, wanted_back = jax.vjp(definition, *scaled)
        np.testing.assert_allclose(found, wanted, atol=2e-6)
        for ours, theirs in zip(back(turned), wanted_back(turned), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=2e-6 * many)


def test_operands_of_all_products_are_16_bit_where_it_is_asked_for():
    *given, turned = drawn()

    def value(*given):
        return (attended(*given, "bfloat16") * turned).sum()

    made = jax.jit(jax.grad(value, (0, 1, 2))).lower(*given).as_text()
    kinds = [line.rpartition(" : ")[2] for line in made.splitlines() if "dot_general" in line]
    assert len(kinds) == 7  # two forwards, and five of the gradient
    assert all(kind.count("xbf16>") == 2 and kind.count("xf32>") == 1 for kind in kinds), kinds
    with autocast("bfloat16"):
        same = jax.grad(lambda *given: (attended(*given) * turned).sum(), (0, 1, 2))(*given)
    for ours, theirs in zip(same, jax.grad(value, (0, 1, 2))(*given), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_gradient_keeps_no_scores():
    """Only what is as long as the sequences, not their product."""
    long = jnp.zeros((1, 1500, 1, 2))
    saved = jax.eval_shape(lambda *given: jax.vjp(attended, *given)[1], long, long, long)
    assert max(leaf.size for leaf in jax.tree.leaves(saved)) <= long.size
