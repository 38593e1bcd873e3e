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
    for channel, spec in enumerate(found):
        true = wanted[:, channel].reshape(spec.shape)
        np.testing.assert_allclose(spec, true, atol=2e-5 * level)


@pytest.mark.slow
def test_gradient():
    """Of few values, by differences in float64."""
    draw = np.random.default_rng(1)
    with jax.enable_x64():
        masks = jnp.asarray(draw.uniform(0.2, 0.9, (2, 2, 1, 3)))
        mix = tuple((draw.standard_normal((1, 3)), draw.standard_normal((1, 3))) for _ in range(2))
        weights = draw.standard_normal((2, 2, 1, 3))

        def value(masks):
            found = filter_masks((masks[:, 0], masks[:, 1]), mix, jnp.ones(()), 1e-2, (-1,))
            return (jnp.stack([spec.real - spec.imag for spec in found], 1) * weights).sum()

        value, slope = jax.jit(value), jax.jit(jax.grad(value))(masks)
        for at in [(0, 0, 0, 1), (1, 1, 0, 2), (1, 0, 0, 0)]:
            step = np.zeros(masks.shape)
            step[at] = 1e-6
            wanted = (value(masks + step) - value(masks - step)) / 2e-6
            assert slope[at] == pytest.approx(float(wanted), rel=1e-5)
