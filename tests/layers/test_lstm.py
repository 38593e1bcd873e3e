import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xumx_jax.layers.lstm import lstm


def weights(directions: int, features: int = 3, hidden: int = 2):
    draw = np.random.default_rng(1).normal(size=(directions, features + hidden + 1, 4 * hidden))
    draw = draw.astype(np.float32)
    return draw[:, :features], draw[:, features:-1], draw[:, -1]


def plain(x, w_ih, w_hh, bias):
    """The textbook recurrence, one direction at a time, without any of our arrangements."""
    outputs = []
    for direction in range(len(w_ih)):
        h = c = jnp.zeros((x.shape[1], w_hh.shape[1]))
        order = range(len(x)) if direction == 0 else reversed(range(len(x)))
        states = {}
        for t in order:
            z = x[t] @ w_ih[direction] + h @ w_hh[direction] + bias[direction]
            i, f, g, o = jnp.split(z, 4, axis=-1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = states[t] = jax.nn.sigmoid(o) * jnp.tanh(c)
        outputs.append(jnp.stack([states[t] for t in range(len(x))]))
    return jnp.concatenate(outputs, axis=-1)


@pytest.mark.slow
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("frames", [1, 7])
def test_equals_the_textbook_with_gradients(directions, frames):
    x = np.random.default_rng(0).normal(size=(frames, 4, 3)).astype(np.float32)
    arguments = (x, *weights(directions))
    assert lstm(*arguments).shape == (frames, 4, 2 * directions)
    np.testing.assert_allclose(lstm(*arguments), plain(*arguments), atol=1e-6)

    def score(function):
        return lambda *a: (function(*a) * jnp.arange(1, frames + 1)[:, None, None]).sum()

    ours = jax.grad(score(lstm), argnums=(0, 1, 2, 3))(*arguments)
    theirs = jax.grad(score(plain), argnums=(0, 1, 2, 3))(*arguments)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("run", [lstm, jax.vmap(lstm)], ids=["axis", "vmap"])
def test_sources_run_together(run):
    x = np.random.default_rng(0).normal(size=(2, 5, 4, 3)).astype(np.float32)
    w = [np.stack([a, -a]) for a in weights(2)]
    both = run(x, *w)
    for source in range(2):
        np.testing.assert_allclose(
            both[source], lstm(x[source], *(a[source] for a in w)), atol=1e-6
        )
