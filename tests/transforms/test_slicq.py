import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xumx_jax.transforms.slicq import SCALES, SliCQ

pytestmark = pytest.mark.usefixtures("quick_compile")
SMALL = SliCQ("bark", 12, 300.0, sample_rate=8000)


def noise(*shape, seed: int = 0):
    return np.random.default_rng(seed).normal(size=shape)


@st.composite
def transforms(draw):
    """Some that can be; a few of the drawn ones leave gaps, which is an error that says so."""
    scale = draw(st.sampled_from(sorted(SCALES)))
    bins = draw(st.integers(2, 5) if scale == "oct" else st.integers(8, 24))
    low = draw(st.floats(150.0, 500.0))
    gamma = draw(st.floats(0.0, 50.0)) if scale == "vqlog" else 0.0
    matrix = draw(st.booleans())
    return SliCQ(scale, bins, low, gamma_hz=gamma, sample_rate=8000, matrix=matrix)


@pytest.mark.slow
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(transforms(), st.integers(1, 3), st.integers(1, 4000), st.integers(0, 99))
def test_any_length_is_rebuilt(transform, channels, samples, seed):
    """In float64; and the transform is linear, and its gradients are its adjoints."""
    with jax.enable_x64(True):
        x, u = (jnp.asarray(noise(channels, samples, seed=seed + n)) for n in range(2))
        c, backward = jax.vjp(transform.analyse, x)
        assert c.shape == (channels, transform.slices(samples), transform.coefficients)
        y, forward = jax.vjp(lambda c: transform.synthesise(c, samples), c)
        assert jnp.abs(y - x).max() < 1e-12 * jnp.abs(x).max()
        d = transform.analyse(u)
        np.testing.assert_allclose(transform.analyse(2 * x - u), 2 * c - d, atol=1e-10)
        d = d * (1 + 1j)
        dot = (backward(d)[0] * u).sum()
        np.testing.assert_allclose(dot, (d * transform.analyse(u)).sum().real, rtol=1e-10)
        dot = (forward(u)[0] * d).sum().real
        np.testing.assert_allclose(dot, (transform.synthesise(d, samples) * u).sum(), rtol=1e-10)


def test_blocks():
    x = jnp.asarray(noise(2, 900).astype(np.float32))
    blocks = SMALL.forward(x)
    assert [b.shape for b in blocks] == [
        (2, block.bands, SMALL.slices(900), block.size) for block in SMALL.blocks
    ]
    assert sum(block.bands for block in SMALL.blocks) == SMALL.bands
    assert all(b.dtype == jnp.complex64 for b in blocks)
    np.testing.assert_array_equal(SMALL.joined(blocks), SMALL.analyse(x))
    np.testing.assert_allclose(SMALL.inverse(blocks, 900), x, atol=3e-6)
    # longer than what the slices cover is silence, shorter is cut
    longer = SMALL.inverse(blocks, 5000)
    assert longer.shape == (2, 5000) and not longer[:, -1000:].any()
    np.testing.assert_array_equal(SMALL.inverse(blocks, 100), longer[:, :100])


def test_it_maps():
    """vmap and jit see leading axes as the transform does."""
    x = jnp.asarray(noise(3, 2, 500).astype(np.float32))
    mapped = jax.jit(jax.vmap(SMALL.analyse))(x)
    np.testing.assert_allclose(mapped, SMALL.analyse(x), atol=1e-6)


def test_a_tone_is_in_its_band():
    hertz = SMALL.hertz[6]
    tone = jnp.sin(2 * np.pi * hertz / 8000 * jnp.arange(4000.0))
    energy = np.concatenate(
        [np.square(np.abs(block)).sum((-1, -2)) / block.shape[-1] for block in SMALL.forward(tone)]
    )
    assert energy.argmax() == 6


def test_it_is_a_key():
    """Equal ones are one static argument."""
    assert hash(SliCQ()) == hash(SliCQ()) and SliCQ() == SliCQ()
    assert SliCQ() != SliCQ(rule="original")


@pytest.mark.parametrize(
    "options, wanted",
    [
        ({"scale": "erb"}, "scale 'erb': wanted one of bark, mel, cqlog, oct, vqlog, linear"),
        ({"bins": 1}, "bins 1: wanted 2 or more"),
        ({"low_hz": 30000.0}, "wanted 0 < low < high <= 22050"),
        ({"low_hz": 0.0}, "wanted 0 < low"),
        ({"gamma_hz": -1.0}, "gamma_hz -1.0"),
        ({"scale": "cqlog", "bins": 4000, "low_hz": 0.1}, "samples: wanted at most 16777216"),
        ({"transition": 4515}, "transition 4515: wanted an even number"),
        ({"rule": "best"}, "rule 'best': wanted exact or original"),
    ],
)
def test_transforms_that_cannot_be(options, wanted):
    with pytest.raises(ValueError, match=wanted):
        SliCQ(**options)
