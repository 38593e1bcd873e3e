"""Mean and deviation of the encoder's input, where they can be computed in the head."""

import numpy as np
import pytest

from xumx_jax.models import build
from xumx_jax.training.statistics import moments

N_FFT, HOP, BIN = 64, 16, 4


def cosine(amplitude):
    """Stereo [2, time] of one bin's frequency, which reflects into itself at both ends."""
    time = np.arange(20 * N_FFT + 1)
    wave = amplitude * np.cos(2 * np.pi * BIN / N_FFT * time)
    return np.stack([wave, wave]).astype(np.float32)


@pytest.fixture(scope="module")
def found():
    """Of two tones, one with half the amplitude of the other."""
    arguments = {"n_fft": N_FFT, "hop": HOP, "hidden_size": 4, "sample_rate": 8000}
    model = build("xumx", **arguments, bandwidth_hz=4000.0)
    return moments(model, [cosine(1.0), cosine(0.5)])


def test_a_tone_in_two_strengths(found):
    """A Hann window gives the tone's bin a quarter of n_fft, its neighbours half of that."""
    mean, deviation = found
    np.testing.assert_allclose(mean[BIN - 1 : BIN + 2], [6, 12, 6], rtol=1e-5)
    np.testing.assert_allclose(deviation[BIN - 1 : BIN + 2], [2, 4, 2], rtol=1e-4)


def test_an_empty_bin_deviates_by_a_ten_thousandth_of_the_largest(found):
    mean, deviation = found
    empty = np.delete(deviation, range(BIN - 1, BIN + 2))
    assert np.delete(mean, range(BIN - 1, BIN + 2)).max() < 1e-4
    np.testing.assert_allclose(empty, 1e-4 * 4, rtol=1e-4)
