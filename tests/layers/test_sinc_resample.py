"""Resampling inside networks: lengths, a sine, edges and the gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xumx_jax.layers import sinc_resample

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]
# one compilation instead of one for each operation
julius_resample = jax.jit(sinc_resample.julius_resample, static_argnums=(1, 2))
torchaudio_resample = jax.jit(sinc_resample.torchaudio_resample, static_argnums=(1, 2))
BOTH = pytest.mark.parametrize("resample", [torchaudio_resample, julius_resample])


@BOTH
@pytest.mark.parametrize(("old", "new"), [(1, 2), (3, 2), (44100, 39690)])
def test_a_sine_stays_a_sine(resample, old, new):
    time = np.arange(2000)
    ours = resample(np.sin(0.2 * time).astype(np.float32), old, new)
    wanted = np.sin(0.2 * np.arange(len(ours)) * old / new)
    inner = slice(200, -200)
    np.testing.assert_allclose(ours[inner], wanted[inner], atol=2e-2)


@pytest.mark.parametrize("length", [1, 51, 105])
def test_lengths(length):
    x = jnp.ones((3, 1, length))
    assert torchaudio_resample(x, 2, 1).shape == (3, 1, -(-length // 2))
    assert julius_resample(x, 2, 1).shape == (3, 1, length // 2)
    assert julius_resample(x, 20, 40).shape == (3, 1, 2 * length)
    assert sinc_resample.torchaudio_resample(x, 7, 7) is x


def test_edges():
    """julius goes on with the last sample, torchaudio with silence."""
    x = jnp.ones(100)
    np.testing.assert_allclose(julius_resample(x, 1, 2), 1, rtol=1e-6)
    assert torchaudio_resample(x, 1, 2)[-1] < 0.9


@BOTH
def test_gradient_is_the_transpose(resample):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.standard_normal(60), jnp.float32)
    y, back = jax.vjp(lambda x: resample(x, 3, 2), x)
    dy = jnp.asarray(rng.standard_normal(y.shape), jnp.float32)
    matrix = resample(np.eye(60, dtype=np.float32), 3, 2)  # linear, so its rows are the responses
    np.testing.assert_allclose(y, x @ matrix, atol=1e-5)
    np.testing.assert_allclose(back(dy)[0], matrix @ dy, atol=1e-5)
