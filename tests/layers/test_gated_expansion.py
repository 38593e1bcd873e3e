"""The end of Demucs' branches, against the layers that it stands for."""

import jax
import numpy as np
import pytest

from xumx_jax.layers import gated_expansion
from xumx_jax.layers.activations import glu
from xumx_jax.layers.gated_expansion import Weights, add_gated
from xumx_jax.layers.group_norm import group_norm

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]


def one_by_one(x, y, weights, axis):
    wide = y @ weights.kernel + weights.bias
    return x + weights.factor * glu(group_norm(wide, weights.scale, weights.shift, 1, (axis,)))


@pytest.mark.parametrize(
    "shape, axis, inputs, strip",
    [
        ((2, 7, 5, 8), -3, 3, None),  # as it is
        ((2, 7, 5, 8), -3, 3, 2 * 7 * 2 * 8),  # in strips of two columns, the last of which overlap
        ((2, 16, 9, 8), -3, 15, 2 * 16 * 2 * 8),  # more channels than are written out
        ((2, 3, 50, 8), -2, 3, 2 * 3 * 16 * 8),  # strips of time, with several items
        ((1, 1, 50, 8), -2, 15, 2 * 16 * 8),
    ],
)
def test_values_and_gradients(shape, axis, inputs, strip, monkeypatch):
    if strip is not None:
        monkeypatch.setattr(gated_expansion, "STRIP", strip)
        monkeypatch.setattr(gated_expansion, "MANY", 0)
    rng, channels = np.random.default_rng(0), shape[-1]

    def draw(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    wide = 2 * channels
    weights = Weights(
        draw(inputs, wide), draw(wide), draw(wide), 10 + draw(wide), draw(channels)
    )  # fmt: skip
    x, y, dz = draw(*shape), 100 + draw(*shape[:-1], inputs), draw(*shape)

    def both(function):
        @jax.jit
        def run(*given):
            made, back = jax.vjp(lambda *given: function(*given, axis), *given)
            return made, back(dz)

        return jax.tree.leaves(run(x, y, weights))

    for found, wanted in zip(both(add_gated), both(one_by_one), strict=True):
        np.testing.assert_allclose(found, wanted, atol=2e-4 * np.abs(wanted).max())


def test_silence_and_a_factor_of_zero_have_gradients():
    x, y = np.zeros((1, 4, 3, 2), np.float32), np.zeros((1, 4, 3, 2), np.float32)
    ones = np.ones(4, np.float32)
    weights = Weights(np.ones((2, 4), np.float32), ones, ones, ones, np.zeros(2, np.float32))
    loss = jax.jit(jax.grad(lambda *given: add_gated(*given, -3).sum(), argnums=(0, 1, 2)))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(loss(x, y, weights)))
    np.testing.assert_allclose(
        loss(x, y, weights)[2].factor, 12 * (1 / (1 + np.exp(-1))), rtol=1e-5
    )
