"""Group normalisation and its gradient against a textbook one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from xumx_jax.layers.group_norm import EPSILON, GroupNorm, group_norm

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]


def drawn(shape):
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, *shape)).astype(np.float32)
    scale, bias = rng.standard_normal((2, shape[-1])).astype(np.float32)
    return x + np.float32(0.5), scale, bias, dy


def textbook(x, scale, bias, groups, axes):
    """Groups one by one; the gradient is JAX's own."""
    found = []
    for channels in np.split(np.arange(x.shape[-1]), groups):
        part = x[..., channels]
        mean = part.mean((*axes, -1), keepdims=True)
        var = jnp.square(part - mean).mean((*axes, -1), keepdims=True)
        found.append((part - mean) / jnp.sqrt(var + EPSILON) * scale[channels] + bias[channels])
    return jnp.concatenate(found, axis=-1)


@pytest.mark.parametrize(
    ("shape", "groups", "axes"),
    [
        ((5, 2, 3, 8), 4, (-4,)),
        ((2, 5, 3, 8), 1, (-3,)),
        ((2, 5, 3, 8), 4, (-2,)),
        ((2, 5, 3, 8), 4, (-3, -2)),
        ((2, 1, 1100, 4), 4, (-2,)),  # more columns than are summed at once
        ((2, 1, 1100, 4), 1, (-3, -2)),
        ((1, 1, 1100, 16), 1, (-3,)),
        ((1, 2, 1100, 4), 4, (-3, -2)),
    ],
)
def test_equals_the_textbook_with_gradients(shape, groups, axes):
    x, scale, bias, dy = drawn(shape)

    @jax.jit
    def both(*operands):
        y, back = jax.vjp(lambda *o: group_norm(*o, groups, axes), *operands)
        wanted, known = jax.vjp(lambda *o: textbook(*o, groups, axes), *operands)
        return (y, *back(dy)), (wanted, *known(dy))

    for found, wanted in zip(*both(x, scale, bias), strict=True):
        largest = np.abs(wanted).max()
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * max(1, largest))


def test_what_follows_is_part_of_its_gradient():
    x, scale, bias, dy = drawn((2, 3, 5, 4))
    layer = GroupNorm(2, then=lambda y: jnp.tanh(y) * bias)

    @jax.jit
    def both(x, scale, bias):
        def found(x, scale, bias):
            return layer.apply({"params": {"scale": scale, "bias": bias}}, x)

        def wanted(x, scale, bias_):
            return jnp.tanh(group_norm(x, scale, bias_, 2, (-3, -2))) * bias

        return [
            (y, *back(dy)) for y, back in (jax.vjp(one, x, scale, bias) for one in (found, wanted))
        ]

    for found, wanted in zip(*both(x, scale, bias), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "groups", "axes"),
    [
        ((2, 40, 30, 8), 1, (-3, -2)),
        ((40, 2, 5, 8), 4, (-4,)),
        ((2, 3, 90, 8), 4, (-2,)),
        ((1, 1, 1100, 4), 1, (-2,)),
    ],
)
def test_a_mean_far_beyond_the_deviation(shape, groups, axes):
    """Squares of 100 leave five bits for those of 0.1."""
    x, scale, bias, dy = drawn(shape)
    x = np.float32(0.1) * x + np.float32(100)
    with jax.enable_x64(True):
        exact = [value.astype(np.float64) for value in (x, scale, bias, dy)]
        wanted, back = jax.vjp(lambda *o: textbook(*o, groups, axes), *exact[:3])
        wanted = [np.asarray(value) for value in (wanted, *back(exact[3]))]

    @jax.jit
    def both(*operands):
        y, back = jax.vjp(lambda *o: group_norm(*o, groups, axes), *operands)
        return y, *back(dy)

    for ours, exactly in zip(both(x, scale, bias), wanted, strict=True):
        np.testing.assert_allclose(ours, exactly, rtol=0, atol=2e-5 * np.abs(exactly).max())


def test_a_layer_begins_with_zero_mean_and_unit_deviation():
    x = 3 * drawn((2, 4, 6, 8))[0] + 1
    layer = GroupNorm(2)
    y = jax.jit(layer.init_with_output)(jax.random.key(0), x)[0]
    groups = np.reshape(y, (2, 4, 6, 2, 4))
    np.testing.assert_allclose(groups.mean((1, 2, 4)), 0, atol=1e-5)
    np.testing.assert_allclose(groups.std((1, 2, 4)), 1, atol=1e-4)


def test_silence_becomes_the_bias():
    _, scale, bias, _ = drawn((1, 3, 4, 8))
    run = jax.jit(group_norm, static_argnums=(3, 4))
    found = run(np.zeros((1, 3, 4, 8), np.float32), scale, bias, 4, (-2,))
    np.testing.assert_allclose(found, np.broadcast_to(bias, (1, 3, 4, 8)), atol=1e-6)


def test_devices_share_the_weights():
    """Under shard_map their gradient is the sum over the devices' items."""
    x, scale, bias, dy = drawn((2, 3, 4, 8))

    def layer(x, scale, bias):
        return group_norm(x, scale, bias, 4, (-3, -2))

    mesh = jax.make_mesh((2,), ("data",), (jax.sharding.AxisType.Auto,), devices=jax.devices()[:2])
    specs = P("data"), P(), P()
    spread = jax.shard_map(layer, mesh=mesh, in_specs=specs, out_specs=P("data"))

    def gradients(function):
        return jax.jit(jax.grad(lambda *o: (function(*o) * dy).sum(), range(3)))(x, scale, bias)

    for a, b in zip(gradients(spread), gradients(layer), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())
