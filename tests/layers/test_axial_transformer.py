"""Transformers over one axis of a spectrogram."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xumx_jax.layers import axial_transformer
from xumx_jax.layers.axial_transformer import AxialTransformer
from xumx_jax.layers.rotary import angles, frequencies

pytestmark = pytest.mark.usefixtures("quick_compile")
ITEMS, POSITIONS, FEATURES, HEADS, SIZE = 5, 4, 6, 2, 4


@pytest.mark.parametrize("position", ["rotary", "linear"])
def test_groups_and_silence_change_no_gradient(monkeypatch, position):
    """Items that fill up the last group, and those that are silent, are zeros to be normalised."""
    angle = angles(POSITIONS, frequencies("rotary", SIZE))
    x = np.random.default_rng(0).standard_normal((ITEMS, POSITIONS, FEATURES)).astype(np.float32)
    x[1] = 0
    module = AxialTransformer(1, HEADS, SIZE, position, ending=True)
    params = module.init(jax.random.key(0), x, angle, None, "float32")

    def loss(params, x):
        return jnp.square(module.apply(params, x, angle, None, "float32") - 1).sum()

    def gradients(rows):
        monkeypatch.setattr(axial_transformer, "ROWS", rows)
        return jax.jit(jax.value_and_grad(loss))(params, x)

    whole, by_groups = gradients(1024), gradients(2 * POSITIONS)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(by_groups))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), whole, by_groups
    )
