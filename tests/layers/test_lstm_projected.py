import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from xumx_jax.layers.lstm import lstm
from xumx_jax.layers.lstm_projected import lstm_projected

FEATURES, HIDDEN, PROJECTED = 3, 4, 2
pytestmark = pytest.mark.usefixtures("quick_compile")


def arguments(frames: int = 6, batch: int = 4, projected: bool = True) -> tuple:
    draw, gates = np.random.default_rng(0), 4 * HIDDEN
    shapes = ((FEATURES, gates), (HIDDEN, gates), (gates,))
    if projected:
        shapes = ((FEATURES, gates), (PROJECTED, gates), (HIDDEN, PROJECTED), (gates,))
    weights = [draw.normal(size=(2, *shape)).astype(np.float32) for shape in shapes]
    return draw.normal(size=(frames, batch, FEATURES)).astype(np.float32), *weights


def plain(x, w_ih, w_hh, w_hr, bias):
    """The textbook recurrence, one direction at a time, without any of our arrangements."""
    outputs = []
    for direction in range(2):

        def step(state, frame, direction=direction):
            h, c = state
            z = frame @ w_ih[direction] + h @ w_hh[direction] + bias[direction]
            i, f, g, o = jnp.split(z, 4, axis=-1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = (jax.nn.sigmoid(o) * jnp.tanh(c)) @ w_hr[direction]
            return (h, c), h

        start = jnp.zeros((x.shape[1], PROJECTED)), jnp.zeros((x.shape[1], HIDDEN))
        order = x[::-1] if direction else x
        h = jax.lax.scan(step, start, order)[1]
        outputs.append(h[::-1] if direction else h)
    return jnp.concatenate(outputs, axis=-1)


def with_gradients(function, *given):
    """The output and the gradients of all arguments, of a score that weighs every value."""

    def score(*given):
        y = function(*given)
        return (y * jnp.cos(jnp.arange(y.size)).reshape(y.shape)).sum(), y

    gradients, y = jax.jit(jax.grad(score, argnums=range(len(given)), has_aux=True))(*given)
    return y, *gradients


@pytest.mark.slow
@pytest.mark.parametrize("frames", [1, 6])
def test_equals_the_textbook_with_gradients(frames):
    given = arguments(frames)
    ours, theirs = with_gradients(lstm_projected, *given), with_gradients(plain, *given)
    assert ours[0].shape == (frames, 4, 2 * PROJECTED)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * max(1, np.abs(b).max()))


@pytest.mark.slow
def test_without_projection():
    """What `layers.lstm` gives, too."""
    given = arguments(projected=False)

    def unprojected(x, w_ih, w_hh, bias):
        return lstm_projected(x, w_ih, w_hh, None, bias)

    ours, theirs = with_gradients(unprojected, *given), with_gradients(lstm, *given)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6 * max(1, np.abs(b).max()))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["bfloat16", "tf32"])
def test_other_precisions_are_near(dtype):
    given = arguments()
    found = with_gradients(lambda *a: lstm_projected(*a, dtype), *given)
    for a, b in zip(found, with_gradients(lstm_projected, *given), strict=True):
        off = np.linalg.norm(a - b) / np.linalg.norm(b)
        assert a.dtype == jnp.float32
        assert 1e-4 < off < 0.05 if dtype == "bfloat16" else off < 1e-3


@pytest.mark.slow
def test_devices_share_the_weights():
    """Their gradient is the sum over the devices, whoever holds which items of the batch."""
    x, *weights = arguments()
    mesh = jax.make_mesh((2,), ("data",), (jax.sharding.AxisType.Auto,), devices=jax.devices()[:2])
    specs = P(None, "data"), *[P()] * 4
    spread = jax.shard_map(lstm_projected, mesh=mesh, in_specs=specs, out_specs=P(None, "data"))
    for a, b in zip(
        with_gradients(spread, x, *weights),
        with_gradients(lstm_projected, x, *weights),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())
