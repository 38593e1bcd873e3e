"""Mean and deviation of what a model sees, over blocks, and where they are kept."""

import hashlib
import json

import numpy as np
import pytest
import runs

from xumx_jax import models
from xumx_jax.errors import UserError
from xumx_jax.training.statistics import cached_moments, moments


class TwoBlocks:
    """Features that can be followed by hand: both channels as they are, and ten times the first."""

    key = {"kind": "two blocks"}

    def pieces(self, mix):
        for start in range(0, mix.shape[1], 3):
            part = mix[:, start : start + 3]
            yield np.pad(part, [(0, 0), (0, 3 - part.shape[1])], constant_values=99), part.shape[1]

    def features(self, piece):
        return piece.T, 10 * piece[:1].T


def mixes():
    yield np.array([[1.0, 2, 3, 4], [5, 5, 5, 5]])
    yield np.array([[5.0], [5]])


def test_blocks_have_their_own_moments_over_all_tracks():
    """Of 1 to 5: mean 3, variance 2. What never changes has 1e-4 of the largest deviation."""
    (mean, deviation), (tenfold, wide) = moments(TwoBlocks(), mixes())
    np.testing.assert_allclose(mean, [3, 5])
    np.testing.assert_allclose(deviation, np.sqrt(2) * np.array([1, 1e-4]), rtol=1e-12)
    np.testing.assert_allclose(tenfold, [30])
    np.testing.assert_allclose(wide, [10 * np.sqrt(2)])


def test_no_mixture_has_none():
    with pytest.raises(ValueError, match="no mixture"):
        moments(TwoBlocks(), iter(()))


def test_what_is_kept_comes_back_block_by_block(tmp_path):
    found, cached = cached_moments(TwoBlocks(), mixes, "digest", tmp_path / "new")
    again, known = cached_moments(TwoBlocks(), None, "digest", tmp_path / "new")
    assert (cached, known) == (False, True)
    for one, other in zip(found, again, strict=True):
        np.testing.assert_array_equal(one, other)
    (path,) = (tmp_path / "new").iterdir()
    path.write_bytes(path.read_bytes()[:50])
    assert cached_moments(TwoBlocks(), mixes, "digest", tmp_path / "new")[1] is False


def test_statistics_of_umx_are_found_where_they_were_kept(tmp_path):
    """Files of earlier versions: their name is a digest, and they hold `mean` and `deviation`."""
    model = models.build("xumx", **runs.TINY, bands=(0, 2, 33))
    kind = {
        "n_fft": 64, "hop": 16, "sample_rate": 8000, "bandwidth_hz": 4000.0, "max_bin": None,
        "power": 1, "bands": [0, 2, 33],
    }  # fmt: skip
    name = hashlib.sha256(json.dumps(["of the data", kind]).encode()).hexdigest()[:32]
    np.savez(tmp_path / f"{name}.npz", mean=[1.0, 2.0], deviation=[3.0, 4.0])
    found, cached = cached_moments(model.input_statistics, None, "of the data", tmp_path)
    ((mean, deviation),) = found
    assert cached and list(mean) == [1, 2] and list(deviation) == [3, 4]


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
    model = models.build("xumx", **arguments, bandwidth_hz=4000.0)
    (found,) = moments(model.input_statistics, [cosine(1.0), cosine(0.5)])
    return found


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


def test_silence_has_no_deviation_to_divide_by():
    with pytest.raises(UserError, match="the training mixtures are all silent"):
        moments(TwoBlocks(), [np.zeros((2, 5))])
