"""Effects on one excerpt, against answers known by hand."""

import numpy as np
import pytest

from pipelines import augment

RATE = 8000


def tone(hz, samples=8000, rate=RATE):
    left = np.sin(2 * np.pi * hz * np.arange(samples) / rate)
    return np.stack([left, 0.5 * left]).astype(np.float32)


def level_db(wave, reference):
    inner = slice(2000, -2000)
    return 10 * np.log10(np.sum(wave[:, inner] ** 2) / np.sum(reference[:, inner] ** 2))


def test_ratio_one_changes_nothing():
    wave = tone(440)
    np.testing.assert_array_equal(augment.resample(wave, 1.0, 100), wave[:, :100])
    assert augment.input_samples(100, 1.0) == 100


@pytest.mark.parametrize("ratio", [0.88, 0.97, 1.12])
def test_resampling_moves_the_pitch_and_fills_the_length(ratio):
    samples = 6000
    wave = tone(440, augment.input_samples(samples, ratio))
    faster = augment.resample(wave, ratio, samples)
    assert faster.shape == (2, samples) and faster.dtype == np.float32
    inner = slice(100, -100)
    np.testing.assert_allclose(
        faster[:, inner], tone(440 * ratio, samples)[:, inner], atol=5e-3, rtol=0
    )


@pytest.mark.parametrize(
    "hz, wanted_db", [(10, 6.0), (500, 0.0), (3900, -4.0), (100, 3.0), (2000, -2.0)]
)
def test_shelves_have_full_gain_outside_half_at_the_corner_none_between(hz, wanted_db):
    wave = tone(hz)
    shelved = augment.shelve(wave, RATE, np.array([100.0, 6.0, 2000.0, -4.0]))
    assert shelved.shape == wave.shape and shelved.dtype == np.float32
    assert abs(level_db(shelved, wave) - wanted_db) < 0.45


def test_no_shelf_returns_the_very_excerpt():
    wave = tone(440)
    assert augment.shelve(wave, RATE, np.zeros(4)) is wave


def test_silence_stays_silence():
    wave = np.zeros((2, 100), np.float32)
    assert not augment.shelve(wave, RATE, np.array([100.0, 6.0, 2000.0, -4.0])).any()


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_channels_are_filtered_alike_and_apart(channels):
    rng = np.random.default_rng(0)
    wave = rng.standard_normal((channels, 300)).astype(np.float32)
    shelves = np.array([100.0, 6.0, 2000.0, -4.0])
    together = augment.shelve(wave, RATE, shelves)
    for channel in range(channels):
        alone = augment.shelve(wave[channel : channel + 1], RATE, shelves)
        np.testing.assert_allclose(together[channel : channel + 1], alone, atol=1e-6)
