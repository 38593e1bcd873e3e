import jax.numpy as jnp
import numpy as np
import pytest

from xumx_jax.postfilters.wiener import wiener


def scene(pan: np.ndarray, frames: int = 30, bins: int = 5):
    """Mixture [channel, bin, frame] and magnitudes of panned sources, loud ones among them."""
    rng = np.random.default_rng(0)
    shape = (len(pan), bins, frames)
    source = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    source = source * rng.gamma(0.3, 1, shape)
    spec = source[:, None] * pan[:, :, None, None]
    magnitudes = np.abs(spec) * rng.uniform(0.5, 1.5, (len(pan), 1, bins, frames))
    return magnitudes.astype(np.float32), spec.sum(0).astype(np.complex64)


def plain(magnitudes, mix, iterations: int):
    """The textbook filter in double precision, inverting covariances as they are."""
    mix = mix.astype(np.complex128)
    gain = max(1, np.abs(mix).max() / 10)
    eps = np.finfo(float).eps
    x = mix / gain
    y = magnitudes * np.exp(1j * np.angle(x)) / gain
    for _ in range(iterations):
        v = np.square(np.abs(y)).mean(1)
        r = np.einsum("jcft,jdft->jfcd", y, y.conj()) / (eps + v.sum(-1))[..., None, None]
        modelled = np.einsum("jft,jfcd->ftcd", v, r) + np.sqrt(eps) * np.eye(len(x))
        y = np.einsum("jft,jfcd,ftde,eft->jcft", v, r, np.linalg.inv(modelled), x)
    return y * gain


PANS = {
    "everything in the middle": np.ones((4, 2)),
    "every source at its own place": np.random.default_rng(1).uniform(0.1, 1, (4, 2)),
    "right channel silent": np.array([[1.0, 0.0]] * 3),
    "left channel silent": np.array([[0.0, 1.0]] * 3),
    "hard left and hard right": np.array([[1.0, 0.0], [0.0, 1.0]]),
    "one channel": np.ones((3, 1)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PANS)
@pytest.mark.parametrize("iterations", [1, 2])
def test_singular_scenes_equal_double_precision(name, iterations):
    """A panned source has a covariance of rank one, which plain float32 cannot invert."""
    magnitudes, mix = scene(PANS[name])
    found = np.asarray(wiener(magnitudes, mix, iterations))
    wanted = plain(magnitudes, mix, iterations)
    error = np.linalg.norm(found - wanted) / np.linalg.norm(wanted)
    assert -20 * np.log10(error) > 80


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 2])
def test_silence_stays_silent(channels):
    magnitudes, mix = scene(np.ones((3, channels)))
    for options in ({}, {"softmask": True}, {"residual": True}):
        found = np.asarray(wiener(0 * magnitudes, 0 * mix, 2, **options))
        assert np.abs(found).max() < 1e-12


def test_a_source_that_is_alone_gets_everything():
    magnitudes, mix = scene(np.array([[1.0, 0.5], [0.0, 0.0]]))
    found = wiener(magnitudes, mix, 1)
    # all but the quietest bins, where the regularisation holds back
    assert np.linalg.norm(found[0] - mix) < 1e-4 * np.linalg.norm(mix)
    assert np.abs(found[1]).max() < 1e-6


def test_ratio_mask_divides_the_mixture():
    magnitudes, mix = scene(np.ones((2, 2)))
    found = wiener(magnitudes, mix, 0, softmask=True, alpha=2.0)
    share = magnitudes**2 / (magnitudes**2).sum(0)
    np.testing.assert_allclose(found, mix * share, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(found.sum(0), mix, rtol=1e-4, atol=1e-6)


def test_no_iteration_keeps_magnitudes_and_phase():
    magnitudes, mix = scene(np.ones((2, 2)))
    found = wiener(magnitudes, mix, 0)
    np.testing.assert_allclose(np.abs(found), magnitudes, rtol=1e-4)
    turned = np.asarray(found * mix.conj())
    np.testing.assert_allclose(turned, np.abs(turned), atol=1e-3)


@pytest.mark.slow
def test_loud_mixtures_are_scaled_and_scaled_back():
    """Past a magnitude of 10 the scaling keeps the filter the same for any gain."""
    magnitudes, mix = scene(PANS["every source at its own place"])
    gain = 100 / np.abs(mix).max()
    louder = wiener(magnitudes * gain * 8, mix * gain * 8, 1)
    np.testing.assert_allclose(louder / 8, wiener(magnitudes * gain, mix * gain, 1), atol=1e-3)


@pytest.mark.slow
def test_masks_of_one_channel_serve_both():
    magnitudes, mix = scene(np.ones((2, 2)))
    mono = magnitudes[:, :1]
    both = jnp.concatenate([mono, mono], axis=1)
    np.testing.assert_array_equal(wiener(mono, mix, 1), wiener(both, mix, 1))


def test_more_than_two_channels():
    magnitudes, mix = scene(np.ones((2, 3)))
    assert wiener(magnitudes, mix, 0).shape == (2, 3, 5, 30)
    with pytest.raises(ValueError, match="3 channels; EM takes one or two"):
        wiener(magnitudes, mix, 1)


def test_logit_sharpens_ratio_masks():
    """Masks 0.75 and 0.25 around 0.5 become sigmoids of +- 15 / 4."""
    magnitudes = np.array([3.0, 1.0], np.float32).reshape(2, 1, 1, 1)
    mix = np.full((1, 1, 1), 2j, np.complex64)
    found = wiener(magnitudes, mix, 0, softmask=True, logit=0.5).ravel()
    high = 1 / (1 + np.exp(-15 / 4))
    np.testing.assert_allclose(found, [2j * high, 2j * (1 - high)], rtol=1e-5)


def test_difference_adds_up_to_the_mixture():
    magnitudes, mix = scene(np.array([[1.0, 0.2], [0.3, 1.0]]))
    stems = wiener(magnitudes, mix, 0, residual=True, difference=True)
    assert len(stems) == 3
    np.testing.assert_allclose(stems.sum(0), mix, atol=1e-5)
