"""Spectrogram pictures: known levels at known places, in blocks as at once, equal files."""

import io
import sys

import numpy as np
import pytest
from PIL import Image

from xumx_jax.errors import UserError
from xumx_jax.evaluation import spectrograms
from xumx_jax.transforms.slicq import SliCQ

pytestmark = pytest.mark.usefixtures("quick_compile")

RATE = 8000
PLAN = SliCQ("bark", 24, 200.0, sample_rate=RATE)
ROWS = spectrograms.edges_hz(PLAN)


def tone(hertz: float, samples: int = 8000, channels: int = 1) -> np.ndarray:
    wave = np.sin(2 * np.pi * hertz / RATE * np.arange(samples))
    return np.repeat(wave[None], channels, axis=0).astype(np.float32)


def powers(wave, spans=40, samples=None):
    edges = np.linspace(0, samples or wave.shape[1], spans + 1)
    return {
        "sliCQ": spectrograms.slicq_power(wave, PLAN, edges),
        "STFT": spectrograms.stft_power(wave, RATE, 512, ROWS, edges),
    }


@pytest.mark.parametrize("band", [4, 12, 20])
def test_a_sine_has_its_level_in_its_band(band):
    for name, power in powers(tone(PLAN.hertz[band], channels=2)).items():
        assert power.shape == (PLAN.bands, 40)
        level = spectrograms.decibels(power[:, 10:30])
        assert (level.argmax(0) == band).all(), name
        np.testing.assert_allclose(level[band], 0, atol=1.5, err_msg=name)


def test_a_click_is_where_it_is():
    wave = np.zeros((1, 8000), np.float32)
    wave[0, 3050] = 1
    for name, power in powers(wave).items():
        high = power[-4:].sum(0)  # of short coefficients
        assert abs(high.argmax() - 15) <= 1, name  # 200 samples each


def test_blocks_make_no_difference(monkeypatch):
    wave = (0.1 * np.random.default_rng(0).standard_normal((2, 7777))).astype(np.float32)
    whole = powers(wave)
    monkeypatch.setattr(spectrograms, "BLOCK", 1000)
    for name, power in powers(wave).items():
        np.testing.assert_allclose(power, whole[name], rtol=1e-3, atol=1e-9, err_msg=name)


def test_a_short_wave_is_followed_by_silence():
    for power in powers(tone(1000.0, 2000), samples=8000).values():
        assert power[:, :8].max() > 0.1 and power[:, 25:].max() < 1e-6


def test_what_is_not_finite_is_silence():
    wave = np.full((1, 1000), np.nan, np.float32)
    for power in powers(wave).values():
        assert (power == 0).all()


def test_pictures():
    rows = {"a $x$ track": powers(tone(1000.0)), "silence": powers(0 * tone(1000.0))}
    drawn = [spectrograms.draw(rows, PLAN, (0, 1), (700, 400)) for _ in range(2)]
    assert drawn[0] == drawn[1]
    image = np.asarray(Image.open(io.BytesIO(drawn[0])).convert("RGB"))
    assert image.shape == (400, 700, 3)


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UserError, match=r"pip install '.\[eval\]'"):
        spectrograms.draw({}, PLAN, (0, 1), (700, 400))
