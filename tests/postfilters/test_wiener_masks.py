"""The filter of masks against the filter of spectra."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xumx_jax.postfilters.wiener import wiener
from xumx_jax.postfilters.wiener_masks import filter_masks

pytestmark = pytest.mark.usefixtures("quick_compile")
EPSILON = 1.2e-7


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("level", [1.0, 30.0])
def test_it_is_the_filter_of_masked_spectra(channels, level):
    """Bands and frames on two axes each; one source of the stereo mixture is in the middle."""
    draw = np.random.default_rng(0)
    mix = level * draw.standard_normal((channels, 3, 2, 4, 5, 2)).astype(np.float32)
    mix[:, 0] = mix[:1, 0]
    masks = draw.uniform(0, 1, (4, channels, 3, 2, 4, 5)).astype(np.float32)
    masks[1] = masks[1, :1]
    pairs = tuple((one[..., 0], one[..., 1]) for one in mix)
    gain = np.float32(max(1.0, np.abs(mix[..., 0] + 1j * mix[..., 1]).max() / 10))

    def ours(masks):
        split = tuple(masks[:, channel] for channel in range(channels))
        return filter_masks(split, pairs, gain, EPSILON, (-2, -1))

    def theirs(masks):
        spec = (mix[..., 0] + 1j * mix[..., 1]).reshape(channels, 6, 20)
        return wiener(masks.reshape(4, channels, 6, 20) * spec, spec, epsilon=EPSILON)

    found, wanted = jax.jit(ours)(masks), jax.jit(theirs)(masks)
    for channel, (real, imag) in enumerate(found):
        true = wanted[:, channel].reshape(real.shape)
        np.testing.assert_allclose(real + 1j * imag, true, atol=2e-5 * level)

    def energy(spec):
        return sum(jnp.square(part * jnp.arange(5.0)).sum() for pair in spec for part in pair)

    def other_energy(masks):
        spec = theirs(masks).reshape(4, channels, 3, 2, 4, 5)
        return (jnp.square(jnp.abs(spec)) * jnp.arange(5.0) ** 2).sum()

    one = jax.jit(jax.grad(lambda masks: energy(ours(masks))))(masks)
    other = jax.jit(jax.grad(other_energy))(masks)
    assert np.isfinite(one).all()
    np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4 * level**2)
