"""Effects on one excerpt, against answers known by hand."""

import numpy as np
import pytest

from pipelines.mixing import effects
from pipelines.mixing.effects import resample, shelving_filter

RATE = 8000


def tone(hz, samples=8000, rate=RATE):
    left = np.sin(2 * np.pi * hz * np.arange(samples) / rate)
    return np.stack([left, 0.5 * left]).astype(np.float32)


def shelve(wave, shelves):
    return shelving_filter.apply(wave, shelves, RATE, wave.shape[1])


def level_db(wave, reference):
    inner = slice(2000, -2000)
    return 10 * np.log10(np.sum(wave[:, inner] ** 2) / np.sum(reference[:, inner] ** 2))


def test_ratio_one_changes_nothing():
    wave = tone(440)
    np.testing.assert_array_equal(resample.apply(wave, 1.0, RATE, 100), wave[:, :100])
    assert resample.input_samples(100, 1.0) == 100


@pytest.mark.parametrize("ratio", [0.88, 0.97, 1.12])
def test_resampling_moves_the_pitch_and_fills_the_length(ratio):
    samples = 6000
    wave = tone(440, resample.input_samples(samples, ratio))
    faster = resample.apply(wave, ratio, RATE, samples)
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
    shelved = shelve(wave, np.array([100.0, 6.0, 2000.0, -4.0]))
    assert shelved.shape == wave.shape and shelved.dtype == np.float32
    assert abs(level_db(shelved, wave) - wanted_db) < 0.45


def test_no_shelf_returns_the_very_excerpt():
    wave = tone(440)
    assert shelve(wave, np.zeros(4)) is wave


def test_silence_stays_silence():
    wave = np.zeros((2, 100), np.float32)
    assert not shelve(wave, np.array([100.0, 6.0, 2000.0, -4.0])).any()


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_channels_are_filtered_alike_and_apart(channels):
    rng = np.random.default_rng(0)
    wave = rng.standard_normal((channels, 300)).astype(np.float32)
    shelves = np.array([100.0, 6.0, 2000.0, -4.0])
    together = shelve(wave, shelves)
    for channel in range(channels):
        alone = shelve(wave[channel : channel + 1], shelves)
        np.testing.assert_allclose(together[channel : channel + 1], alone, atol=1e-6)


@pytest.mark.parametrize("name", effects.EFFECTS)
def test_every_effect_has_what_the_docstring_asks_for(name):
    effect = effects.EFFECTS[name]
    rows = {row: np.array([0.3, 0.9]) for row in effect.ROWS}
    for probability, changed in ((0.0, [False, False]), (0.5, [True, False]), (1.0, [True] * 2)):
        values = effect.draw(rows, probability=probability)
        assert len(values) == 2 and [effect.changes(one) for one in values] == changed
    plan = ((name, effect.draw(rows, probability=1.0)),)
    if effects.is_of_mixture(name):
        waves = effects.apply_to_all(plan, np.stack([tone(440, 500), tone(300, 500)]), RATE)
        assert waves.shape == (2, 2, 500) and waves.dtype == np.float32
        return
    chain = effects.chain_of(plan, 0)
    lengths = effects.lengths_of(chain, 500)
    wave = effects.apply(chain, tone(440, lengths[0]), RATE, lengths)
    assert wave.shape == (2, 500) and wave.dtype == np.float32
    assert (lengths[0] != 500) == (effects.speed_of(chain) != 1)


def test_effects_follow_each_other_and_each_gets_what_it_needs():
    plan = (("resample", np.array([1.1])), ("shelving_filter", np.array([[100, 6, 2000, -4.0]])))
    chain = effects.chain_of((*plan, ("resample", np.array([0.9]))), 0)
    lengths = effects.lengths_of(chain, 600)
    assert lengths == [611, 548, 548, 600] and effects.speed_of(chain) == 1.1 * 0.9
    wave = tone(440, lengths[0])
    faster = shelve(resample.apply(wave, 1.1, RATE, 548), plan[1][1][0])
    wanted = resample.apply(faster, 0.9, RATE, 600)
    np.testing.assert_array_equal(effects.apply(chain, wave, RATE, lengths), wanted)
    still = (("resample", np.array([1.0])), ("shelving_filter", np.zeros((1, 4))))
    assert effects.chain_of(still, 0) == [] and effects.lengths_of([], 600) == [600]
