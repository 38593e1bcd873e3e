"""Attention by distance: contexts, and the change of shape that finds the distances."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xumx_jax.layers.relative_attention import RelativeAttention, features_of, shifted, window

FRAMES, CHANNELS, HEADS = 23, 8, 2


def by_definition(params, x, context):
    """One frame at a time: [frame, channel] -> the same."""
    size = CHANNELS // HEADS
    query, key, value = np.split(x @ np.asarray(params["project"]["kernel"]), 3, axis=-1)
    y = np.zeros_like(x)
    for head in range(HEADS):
        own = slice(head * size, (head + 1) * size)
        u, v = (np.asarray(params[name])[head, 0] for name in "uv")
        for frame in range(len(x)):
            near = [n for n in range(len(x)) if context is None or abs(n - frame) < context]
            features = features_of(np.array(near) - frame, CHANNELS)
            features = (features @ np.asarray(params["distance"]["kernel"]))[:, own]
            scores = key[near][:, own] @ (query[frame, own] + u)
            scores = (scores + features @ (query[frame, own] + v)) / size**0.5
            weights = np.exp(scores - scores.max())
            y[frame, own] = weights / weights.sum() @ value[near][:, own]
    return y @ np.asarray(params["out"]["kernel"])


@pytest.mark.slow
@pytest.mark.parametrize("context", [None, 1, 3, 9])
def test_context(context, quick_compile):
    """In pieces (1 and 3) or with a mask alone (9)."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, FRAMES, CHANNELS)).astype(np.float32)
    module = RelativeAttention(HEADS, context)
    variables = jax.tree.map(
        lambda leaf: rng.standard_normal(leaf.shape).astype(np.float32),
        jax.eval_shape(module.init, jax.random.key(0), x),
    )
    ours = jax.jit(module.apply)(variables, x)
    assert (window(FRAMES, context)[1] > 0) == (context in (1, 3))
    for item in range(2):
        wanted = by_definition(variables["params"], x[item], context)
        np.testing.assert_allclose(ours[item], wanted, rtol=1e-5, atol=1e-4)


def test_shifted():
    """From distances -2 to 3 of three rows to four keys."""
    distances = jnp.arange(-2, 4) + jnp.zeros((3, 1), int)
    wanted = np.arange(4) - np.arange(3)[:, None]
    np.testing.assert_array_equal(shifted(distances, 4), wanted)


@pytest.mark.slow
def test_no_array_of_frames_squared():
    """Twice the frames: twice the work, if a context is set."""

    def work(frames):
        x = jax.ShapeDtypeStruct((1, frames, CHANNELS), jnp.float32)
        module = RelativeAttention(HEADS, 4)
        variables = jax.eval_shape(module.init, jax.random.key(0), x)
        return jax.jit(module.apply).lower(variables, x).cost_analysis()["flops"]

    assert work(400) < 2.2 * work(200)
