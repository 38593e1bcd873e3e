"""Speed changes pitch and tempo together, pitch alone keeps the tempo: sines and clicks."""

from functools import partial

import jax
import numpy as np
import pytest

from xumx_jax.augment.pitch import frequency_percent, pitch
from xumx_jax.augment.speed import speed

LENGTH, BIN = 8192, 1 / 8192  # samples, cycles a sample
SMALL = {"n_fft": 512, "hop": 128}


def every(function, stems, **options):
    """All stems changed."""
    return np.asarray(
        jax.jit(partial(function, probability=1.0, **options))(stems, jax.random.key(0))
    )


def sines(*cycles):
    """Stems [source, 2, LENGTH], cycles a sample; the right channel is louder.

    They begin at a crest, so that what the transform reflects before it is the same sine.
    """
    waves = np.cos(2 * np.pi * np.outer(cycles, np.arange(LENGTH)))
    return np.stack([0.2 * waves, 0.4 * waves], 1).astype(np.float32)


def loudest(waves):
    """The loudest frequency of each [..., time], in cycles a sample."""
    window = np.hanning(waves.shape[-1])
    return np.abs(np.fft.rfft(waves * window)).argmax(-1) / waves.shape[-1]


@pytest.mark.parametrize("percent", [80, 125])
def test_speed_moves_frequencies_and_length(percent):
    found = every(speed, sines(0.02, 0.1), length_percent=(percent,))
    kept = min(LENGTH, LENGTH * percent // 100)
    wanted = np.array([0.02, 0.1])[:, None] * 100 / percent
    np.testing.assert_allclose(loudest(found[..., :kept]), wanted + np.zeros((2, 2)), atol=2 * BIN)
    assert np.abs(found[..., :kept]).max() > 0.39
    assert not found[..., kept + 1 :].any()


@pytest.mark.slow
@pytest.mark.parametrize("semitones", [-7, 2])
def test_pitch_moves_frequencies_and_keeps_the_level(semitones):
    found = every(pitch, sines(0.02, 0.1), semitones=(semitones,), **SMALL)
    wanted = np.array([0.02, 0.1])[:, None] * frequency_percent(semitones) / 100
    inner = found[..., 1024:-1024]
    np.testing.assert_allclose(loudest(inner), wanted + np.zeros((2, 2)), atol=1.5 / inner.shape[2])
    levels = np.sqrt(2 * np.mean(inner**2, -1))
    np.testing.assert_allclose(levels, np.array([[0.2, 0.4]] * 2), rtol=0.02)


@pytest.mark.slow
def test_pitch_leaves_events_where_they_are_and_speed_does_not():
    clicks = np.zeros((1, 2, LENGTH), np.float32)
    clicks[..., 5000] = 1
    for function, options, wanted in (
        (pitch, {"semitones": (3,), **SMALL}, 5000),
        (speed, {"length_percent": (90,)}, 4500),
    ):
        energy = every(function, clicks, **options)[0, 0] ** 2
        assert abs(np.average(np.arange(LENGTH), weights=energy) - wanted) < 64


@pytest.mark.slow
def test_a_shift_that_is_there_twice_is_twice_as_probable():
    """Of the default five, 1 semitone is there twice and 0 once."""
    stems = sines(*[0.05] * 300)[:, :, :128]
    found = every(pitch, stems, n_fft=32, hop=8)
    same, up = (
        np.all(np.abs(found - found_one) < 1e-6, axis=(1, 2)).mean()
        for found_one in (every(pitch, stems[:1], semitones=(n,), n_fft=32, hop=8) for n in (0, 1))
    )
    assert abs(same - 1 / 5) < 0.08 and abs(up - 2 / 5) < 0.08


@pytest.mark.parametrize(
    "function, options, wanted",
    [
        (speed, {"length_percent": (0,)}, r"length_percent is \(0,\), wanted whole numbers"),
        (speed, {"length_percent": (99.5,)}, "wanted whole numbers"),
        (speed, {"length_percent": ()}, "at least one"),
        (pitch, {"semitones": (25,)}, r"semitones is \(25,\), wanted -24 to 24"),
        (pitch, {"semitones": (float("nan"),)}, "wanted -24 to 24"),
        (pitch, {"semitones": ()}, "at least one"),
        (pitch, {"hop": 2000}, "hop <= n_fft / 2"),
        (pitch, {"n_fft": 8194}, "n_fft is 8194, wanted at most 8192, an example's length"),
        (pitch, {"probability": -1}, "probability is -1, wanted 0 to 1"),
    ],
)
def test_options_that_make_no_sense(function, options, wanted):
    with pytest.raises(ValueError, match=wanted):
        function(sines(0.1), jax.random.key(0), **options)
