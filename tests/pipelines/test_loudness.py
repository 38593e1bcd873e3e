"""The loudness meter, against what the standard and its compliance material say."""

import numpy as np
import pyloudnorm
import pytest

from pipelines import loudness

RATES = (44_100, 48_000, 96_000)


def tone(seconds, rate, dbfs=0.0, hz=997.0, channels=1):
    wave = 10 ** (dbfs / 20) * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)
    return np.stack([wave] * channels)


@pytest.mark.parametrize("rate", RATES)
def test_a_full_sine_in_one_channel_reads_three_below_zero(rate):
    # BS.1770-4, annex 1: "-3.01 LKFS" for 997 Hz at 0 dB FS in the left, centre or right channel
    assert abs(loudness.integrated(tone(2, rate), rate) + 3.01) < 0.01


def test_channels_add_in_power_and_gain_in_decibels():
    wave = np.random.default_rng(1).uniform(-0.5, 0.5, (2, 48_000))
    one = loudness.integrated(wave[:1], 48_000)
    assert abs(loudness.integrated(wave[[0, 0]], 48_000) - one - 3.0103) < 1e-4
    assert abs(loudness.integrated(wave[:1] / 2, 48_000) - one + 6.0206) < 1e-4


def test_quiet_passages_do_not_count():
    # EBU Tech 3341, case 3, with a third of its lengths: -36, -23 and -36 dB FS read -23 LUFS
    rate = 32_000
    parts = [(3, -36.0), (20, -23.0), (3, -36.0)]
    wave = np.concatenate([tone(s, rate, db, 1000.0, 2) for s, db in parts], axis=1)
    assert abs(loudness.integrated(wave, rate) + 23) < 0.1
    # case 4: -72 dB FS is below the absolute gate
    quiet = np.concatenate([tone(3, rate, -72.0, 1000.0, 2), wave], axis=1)
    assert abs(loudness.integrated(quiet, rate) - loudness.integrated(wave, rate)) < 0.01


@pytest.mark.parametrize("level_db", [-200.0, -71.5])
def test_silence_and_what_is_below_the_gate_read_minus_infinity(level_db):
    assert loudness.integrated(tone(1, 8000, level_db), 8000) == -np.inf
    assert loudness.integrated(np.zeros((2, 8000)), 8000) == -np.inf
    assert loudness.integrated(np.zeros((2, 0)), 8000) == -np.inf


def test_the_ear_hears_less_below_and_more_above():
    rate = 48_000
    middle, low, high = (
        loudness.integrated(tone(1, rate, -20, hz), rate) for hz in (997, 30, 8000)
    )

    # from the tables of the standard: their response at these frequencies, relative to 997 Hz
    def response(hz):
        z = np.exp(-2j * np.pi * hz / rate) ** np.arange(3)
        sections = (loudness.HEAD, loudness.LOWS)
        return 20 * np.log10(
            abs(np.prod([(s[:3] @ z) / (s[3:] @ z) for s in map(np.array, sections)]))
        )

    assert abs(low - middle - response(30) + response(997)) < 0.1
    assert abs(high - middle - response(8000) + response(997)) < 0.01


def test_the_weighting_is_the_tables_and_keeps_its_response_at_other_rates():
    def response(sections, hz, rate):
        z = np.exp(-2j * np.pi * hz / rate) ** np.arange(3)
        return np.abs(np.prod([(s[:3] @ z) / (s[3:] @ z) for s in sections]))

    tables = np.array([loudness.HEAD, loudness.LOWS])
    np.testing.assert_allclose(loudness._weighting(48_000, False), tables, atol=1e-13)
    for rate in (44_100, 96_000):
        sections = loudness._weighting(rate, False)
        for hz in (20, 100, 1000, 4000):
            wanted = response(tables, hz, 48_000)
            assert abs(response(sections, hz, rate) / wanted - 1) < 2e-3


@pytest.mark.parametrize("samples", [1, 400, 3199, 3200, 3201])
def test_a_short_wave_is_one_block(samples):
    wave = np.random.default_rng(samples).uniform(-1, 1, (2, samples))
    first = loudness.integrated(wave, 8000)
    assert np.isfinite(first)
    assert abs(loudness.integrated(wave / 10, 8000) - first + 20) < 1e-6


def test_a_last_part_that_fills_no_block_does_not_count():
    wave = np.random.default_rng(2).uniform(-1, 1, (2, 8000))
    longer = np.pad(wave, ((0, 0), (0, 799)))
    assert loudness.integrated(longer, 8000) == loudness.integrated(wave, 8000)
    assert loudness.integrated(longer[:, :-200], 8000, True) < loudness.integrated(wave, 8000, True)


@pytest.mark.parametrize("seconds", [0.4, 0.96, 1.04, 3.0])
@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_like_pyloudnorm(rate, seconds):
    rng = np.random.default_rng(int(100 * seconds))
    wave = rng.standard_normal((2, int(seconds * rate))) * rng.uniform(1e-3, 0.3)
    wave[:, : rate // 3] *= 1e-3
    wanted = pyloudnorm.Meter(rate).integrated_loudness(wave.T)
    assert abs(loudness.integrated(wave, rate, like_pyloudnorm=True) - wanted) < 1e-6
    assert abs(loudness.integrated(wave, rate) - wanted) < 0.6
