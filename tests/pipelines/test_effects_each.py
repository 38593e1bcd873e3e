"""Each effect against what is known by hand; recordings are in tests/parity."""

import importlib.util

import numpy as np
import pytest

from pipelines import loudness
from pipelines.mixing import effects
from pipelines.mixing.effects import EFFECTS, limit_aug, parametric_eq, volume_automation
from xumx_jax.errors import UserError

RATE = 8000
rng = np.random.default_rng(7)
NOISE = rng.uniform(-0.5, 0.5, (2, 4000)).astype(np.float32)
OF_ONE = [name for name in EFFECTS if not effects.is_of_mixture(name)]
SAME_LENGTH = [name for name in OF_ONE if not hasattr(EFFECTS[name], "input_samples")]


def values_of(name, uniform=0.5, **options):
    """What an effect draws with these numbers, and ranges or options of one value each."""
    effect = EFFECTS[name]
    rows = {row: np.full(1, uniform) for row in effect.ROWS} | {effect.ROWS[0]: np.zeros(1)}
    return effect.draw(rows, probability=1.0, **options)[0]


def play(name, wave, uniform=0.5, **options):
    return EFFECTS[name].apply(wave, values_of(name, uniform, **options), RATE, wave.shape[1])


def only(value):
    return (value, value)


@pytest.mark.parametrize("name", SAME_LENGTH)
@pytest.mark.parametrize("uniform", [0.0, 0.4, 1 - 2**-53])
def test_effects_leave_their_input_alone_and_repeat(name, uniform):
    before = NOISE.copy()
    frames = np.ascontiguousarray(NOISE.T)  # as the loader reads them
    one = play(name, frames.T, uniform)
    assert one.shape == NOISE.shape and one.dtype == np.float32 and np.isfinite(one).all()
    np.testing.assert_array_equal(one, play(name, NOISE, uniform))
    np.testing.assert_array_equal(NOISE, before)
    np.testing.assert_array_equal(frames.T, before)


@pytest.mark.parametrize("name", SAME_LENGTH)
def test_silence_stays_silence(name):
    assert np.abs(play(name, np.zeros((2, 3000), np.float32))).max() < 1e-9


@pytest.mark.parametrize("name", SAME_LENGTH)
@pytest.mark.parametrize("samples", [1, 5, 300])
def test_short_excerpts(name, samples):
    short = play(name, NOISE[:, :samples])
    assert short.shape == (2, samples) and np.isfinite(short).all()


@pytest.mark.parametrize("name", [n for n in SAME_LENGTH if not hasattr(EFFECTS[n], "CHANNELS")])
def test_mono(name):
    one, both = play(name, NOISE[:1]), play(name, NOISE[[0, 0]])
    assert one.shape == (1, 4000)
    if name not in ("loudness_normalization", "reverb"):  # one adds channels, one sets them apart
        np.testing.assert_allclose(both, one[[0, 0]], atol=1e-6)


def test_gain_polarity_and_swap():
    np.testing.assert_array_equal(play("gain", NOISE, gain=only(0.5)), NOISE / 2)
    np.testing.assert_array_equal(play("polarity", NOISE), -NOISE)
    np.testing.assert_array_equal(play("swap", NOISE), NOISE[::-1])


@pytest.mark.parametrize("place, left", [(-1.0, 1.0), (0.0, 0.707), (1.0, 0.0)])
def test_pan_keeps_the_power(place, left):
    panned = play("pan", np.ones((2, 3), np.float32), pan=only(place))
    right = np.sqrt(1 - left**2)
    np.testing.assert_allclose(panned[:, 0], [left, right], atol=1e-3)


def test_width_from_mono_to_the_difference():
    left, right = NOISE
    mono, wide = (play("stereo_widener", NOISE, width=only(width)) for width in (0.0, 1.0))
    np.testing.assert_allclose(mono, [left + right] * 2, atol=1e-6)
    np.testing.assert_allclose(wide, [left - right, right - left], atol=1e-6)


def test_equaliser_has_full_gain_outside_and_at_a_centre():
    impulse = np.zeros((1, 1 << 14), np.float32)
    impulse[0, 0] = 1
    filters = [[50, 0.7, 6.0], [1000, 2.0, -5.0], [3000, 0.7, 3.0]]
    values = np.array([1.0, *np.ravel(filters)])
    response = np.abs(np.fft.rfft(parametric_eq.apply(impulse, values, RATE, 1 << 14)[0]))
    found = 20 * np.log10(np.interp([0, 1000, 4000], np.fft.rfftfreq(1 << 14, 1 / RATE), response))
    np.testing.assert_allclose(found, [6.0, -5.0, 3.0], atol=0.3)


def test_equaliser_has_as_many_bands_as_asked_for_and_corners_below_half_the_rate():
    for bands in (0, 3, parametric_eq.MOST):
        values = values_of("parametric_eq", 0.5, bands=bands)
        assert values.shape == (1 + 3 * (2 + bands),)
    high = play("parametric_eq", NOISE, high_hz=only(16_000.0), q=only(4.0))
    assert np.isfinite(high).all() and np.abs(high).max() < 10


@pytest.mark.parametrize("seed", [0.0, 0.3, 0.999, 1 - 2**-53])
def test_ramps_fill_the_excerpt(seed):
    values = EFFECTS["volume_automation"].draw(
        {"use": np.zeros(1), "seed": np.array([seed])}, gain_db=(-3.0, 2.0), seconds=0.1
    )[0]
    places, gains_db = volume_automation.ramps(values, 0.5)
    assert places[0] == 0 and gains_db[0] == 0 and abs(places[-1] - 0.5) < 1e-12
    assert 2 <= len(places) == len(gains_db) <= 6 and (np.diff(places) >= 0).all()
    assert -3 <= gains_db[1:].min() and gains_db.max() <= 2
    level = 20 * np.log10(
        EFFECTS["volume_automation"].apply(np.ones((1, 4000)), values, RATE, 4000)
    )
    np.testing.assert_allclose(level[0, [0, -1]], gains_db[[0, -1]], atol=0.1)


def test_one_ramp_where_there_is_no_room_for_more():
    for seed in np.linspace(0, 0.99, 20):
        values = np.array([1, -6.0, 6.0, 3.0, seed])
        assert len(volume_automation.ramps(values, 5.9)[0]) == 2


def test_echoes_come_again_and_again():
    wave = np.zeros((1, 4000), np.float32)
    wave[0, 10] = 1
    options = {"seconds": only(0.125), "feedback": only(0.5), "mix": only(0.25)}
    echoes = play("delay", wave, **options)[0]
    assert list(np.flatnonzero(echoes)) == [10, 1010, 2010, 3010]
    np.testing.assert_array_equal(echoes[[10, 1010, 2010, 3010]], [0.75, 0.25, 0.125, 0.0625])
    np.testing.assert_array_equal(
        play("delay", wave, seconds=only(1.0), mix=only(0.25)), 0.75 * wave
    )


def test_delay_is_that_of_pedalboard():
    from pedalboard import Delay

    for seconds in (0.1, 0.11, 0.123456, 0.35):
        options = {"seconds": only(seconds), "feedback": only(0.4), "mix": only(0.3)}
        theirs = Delay(delay_seconds=seconds, feedback=0.4, mix=0.3)(NOISE, RATE)
        np.testing.assert_array_equal(play("delay", NOISE, **options), theirs)


def test_distortion_bends_what_is_loud():
    faint = play("distortion", NOISE * 1e-3, drive_db=only(6.0206))
    np.testing.assert_allclose(faint, NOISE * 2e-3, rtol=1e-5)
    assert np.abs(play("distortion", NOISE, drive_db=only(40.0))).max() <= 1


def test_compressor_has_its_ratio():
    tone = np.sin(np.arange(RATE)[None] * 0.5).astype(np.float32)
    options = {"threshold_db": only(-40.0), "attack_ms": only(1.0), "release_ms": only(250.0)}
    levels = [play("compressor", tone * g, ratio=only(2.0), **options)[0, 4000:] for g in (1, 0.1)]
    change = 20 * np.log10(levels[0].std() / levels[1].std())
    assert abs(change - 10) < 0.5  # of 20 dB


def test_limiter_clips_at_full_scale():
    assert np.abs(play("limiter", 8 * NOISE, threshold_db=only(-30.0))).max() <= 1


@pytest.mark.parametrize(
    "name, option", [("chorus", "mix"), ("phaser", "mix"), ("delay", "mix"), ("reverb", "wet")]
)
def test_no_share_of_an_effect_is_none(name, option):
    gentle = play(name, NOISE, **{option: only(0.0)})
    # pedalboard's reverb has twice the level
    np.testing.assert_allclose(gentle, NOISE * (2 if name == "reverb" else 1), atol=1e-6)
    assert np.abs(play(name, NOISE, **{option: only(0.7)}) - gentle).max() > 0.01


def test_loudness_becomes_the_target_unless_that_takes_too_much():
    for level in (1.0, 0.01):
        found = play("loudness_normalization", NOISE * np.float32(level), target_lufs=-20.0)
        assert abs(loudness.integrated(found, RATE, like_pyloudnorm=True) + 20) < 1e-4
    least = NOISE * np.float32(10 ** (-55 / 20))
    raised = play("loudness_normalization", least, target_lufs=-10.0, most_db=20.0)
    np.testing.assert_allclose(raised, 10 * least, rtol=1e-6)
    below = NOISE * np.float32(1e-4)
    assert play("loudness_normalization", below) is below


def test_limited_mixture_has_its_loudness_and_sources_their_shares():
    waves = np.stack([NOISE, 0.3 * NOISE[::-1], np.zeros_like(NOISE)])
    values = values_of("limit_aug", mean_lufs=-5.0, target_lufs=-14.0)
    limited = effects.apply_to_all((("limit_aug", np.stack([values] * 3)),), waves, RATE)
    mix = limited.sum(0)
    assert abs(loudness.integrated(mix, RATE, like_pyloudnorm=True) + 14) < 1e-3
    assert not limited[2].any()
    shares = np.abs(waves.sum(0)) > 1e-3
    gain = mix[shares] / waves.sum(0)[shares]
    np.testing.assert_allclose(limited[0][shares], waves[0][shares] * gain, rtol=1e-3)
    assert gain.std() / gain.mean() > 0.02  # not one gain for all
    for still in (np.zeros_like(waves), waves * np.float32(1e-5)):
        assert limit_aug.apply_all(still, values, RATE) is still


def test_loudness_to_limit_at_is_of_a_normal_distribution():
    uniform = (np.arange(1000) + 0.5) / 1000
    rows = {"use": uniform, "loudness": uniform, "release_ms": uniform}
    drawn = limit_aug.draw(rows, probability=0.25, mean_lufs=-9.0, deviation_lu=2.0)
    assert abs(drawn[:, 1].mean() + 9) < 0.01 and abs(drawn[:, 1].std() - 2) < 0.02
    assert drawn[:, 0].sum() == 250
    ends = {row: np.array([0.0, 1.0]) for row in rows}
    assert np.isfinite(limit_aug.draw(ends)).all()


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("gain", {"gain": (2, 1)}, r"gain is \(2, 1\), wanted two numbers, \(low, high\)"),
        ("gain", {"gain": 1.0}, "gain is 1.0, wanted two numbers"),
        ("gain", {"low": 1.0}, "no option 'low'; known: probability, gain"),
        ("polarity", {"probability": 1.5}, "probability is 1.5, wanted 0 to 1"),
        ("pan", {"pan": (-2, 0)}, "wanted two numbers from -1 to 1"),
        ("parametric_eq", {"bands": 9}, "bands is 9, wanted 0 to 8"),
        ("parametric_eq", {"low_hz": (0, 9)}, "low_hz is"),
        ("parametric_eq", {"q": (0, 9)}, "q is"),
        ("volume_automation", {"seconds": 0}, "seconds is 0"),
        ("compressor", {"ratio": (0.5, 2)}, "ratio is"),
        ("delay", {"seconds": (0, 1)}, "seconds is"),
        ("reverb", {"wet": (0, 1.1)}, "wet is"),
        ("loudness_normalization", {"target_lufs": float("nan")}, "target_lufs is nan"),
        ("limit_aug", {"release_ms": (0, 1)}, "release_ms is"),
        ("limit_aug", {"deviation_lu": -1}, "deviation_lu is -1"),
        ("limit_aug", {"mean_lufs": float("inf")}, "mean_lufs is"),
        ("stereo_wider", {}, "did you mean 'stereo_widener'"),
    ],
)
def test_options_that_make_no_sense_are_named(name, options, message):
    with pytest.raises(UserError, match=message) as caught:
        effects.check(name, options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [n for n in EFFECTS if hasattr(EFFECTS[n], "NEEDS")])
def test_effects_without_their_package_say_how_to_install_it(name, monkeypatch):
    effects.check(name, {})
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    wanted = rf"{name} needs pedalboard, which is not installed: pip install 'xumx_jax\[effects\]'"
    with pytest.raises(UserError, match=wanted):
        effects.check(name, {})
