"""Residual branches of Demucs. What they compute is compared in parity/test_golden_demucs.py."""

import jax
import numpy as np
import pytest

from xumx_jax.layers.activations import glu
from xumx_jax.layers.dconv import DConv

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]
NOISE = np.random.default_rng(0).standard_normal((2, 3, 7, 8)).astype(np.float32)


def filled(module, x):
    """Random variables, of the deviation that is usual for initial weights."""
    rng = np.random.default_rng(1)
    shapes = jax.eval_shape(module.init, jax.random.key(0), x)
    return jax.tree.map(
        lambda leaf: np.float32(0.5) * rng.standard_normal(leaf.shape).astype(np.float32), shapes
    )


def test_gate_and_its_gradient():
    def plain(x):
        return x[..., :4] * jax.nn.sigmoid(x[..., 4:])

    weight = NOISE[..., ::2]

    @jax.jit
    def both(x):
        found, known = (jax.vjp(function, x) for function in (glu, plain))
        return (found[0], *found[1](weight)), (known[0], *known[1](weight))

    for a, b in zip(*both(NOISE), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_with_all_its_parts_along_both_axes():
    """The same along rows as along columns, and each row is separate from the others."""
    layers = [DConv(2, 2, axis=axis, lstm=True, attention=True) for axis in (-2, -3)]
    variables = filled(layers[0], NOISE)
    run, turned = (jax.jit(layer.apply) for layer in layers)
    found = run(variables, NOISE)
    assert np.abs(found - NOISE).mean() > 0.03
    np.testing.assert_allclose(
        turned(variables, NOISE.swapaxes(1, 2)), found.swapaxes(1, 2), atol=1e-5
    )
    other = NOISE.copy()
    other[:, 1] = 0
    kept = run(variables, other)
    np.testing.assert_allclose(kept[:, ::2], found[:, ::2], atol=1e-5)
    assert np.abs(kept[:, 1] - found[:, 1]).max() > 0.1


def test_branches_of_negative_depth_are_not_dilated():
    """They are branches of depth 1, one after the other; those of positive depth are not."""
    variables = filled(DConv(depth=2), NOISE)
    branches = variables["params"]
    wanted, single = NOISE, jax.jit(DConv(depth=1).apply)
    for number in range(2):
        wanted = single({"params": {"branch_0": branches[f"branch_{number}"]}}, wanted)
    plain, dilated = (jax.jit(DConv(depth=depth).apply)(variables, NOISE) for depth in (-2, 2))
    np.testing.assert_allclose(plain, wanted, atol=1e-5)
    assert np.abs(dilated - wanted).max() > 0.1


def test_initial_factor_and_compression():
    module = DConv(compress=2, depth=1, initial=0.01)
    shapes = jax.eval_shape(module.init, jax.random.key(0), NOISE)["params"]["branch_0"]
    assert shapes["squeeze"]["kernel"].shape == (3, 8, 4)
    assert shapes["expand"]["kernel"].shape == (1, 4, 16)
    scale = jax.jit(lambda key: module.init(key, NOISE)["params"]["branch_0"]["scale"])
    np.testing.assert_allclose(scale(jax.random.key(0)), np.full(8, 0.01, np.float32))
