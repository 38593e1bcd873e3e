"""Pictures of sounds whose place in them is known."""

import io

import numpy as np
import pytest
import soundfile

from xumx_jax.training.monitor import pictures
from xumx_jax.training.monitor.pictures import HEIGHT, LEFT, TITLE, WIDTH

RATE = 44100


def tone(hz, seconds=1.0, rate=RATE):
    wave = 0.5 * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)
    return np.stack([wave, wave]).astype(np.float32)


def bands_hz(rate=RATE):
    """The edges of the bands that are drawn."""
    return 700 * (10 ** (np.linspace(0, pictures.mel(rate / 2), HEIGHT + 1) / 2595) - 1)


@pytest.mark.parametrize("length, wanted, expected", [(10, 4, (3, 7)), (4, 10, (0, 4))])
def test_middle(length, wanted, expected):
    part = pictures.middle(length, wanted)
    assert (part.start, part.stop) == expected


@pytest.mark.parametrize("hz", [200, 1000, 9000])
@pytest.mark.parametrize("rate", [22050, RATE])
def test_a_tone_lies_in_its_band(hz, rate):
    power = pictures.spectrogram(tone(hz, rate=rate), rate)
    assert power.shape == (HEIGHT, WIDTH)
    band = np.searchsorted(bands_hz(rate), hz) - 1
    assert abs(power.mean(1).argmax() - band) <= 1


def test_power_is_that_of_the_bins_whatever_the_bands():
    noise = np.random.default_rng(0).normal(size=(1, 5000)).astype(np.float32)
    power = pictures.spectrogram(noise, RATE)
    frame = noise[0, : pictures.WINDOW] * np.hanning(pictures.WINDOW)
    bins = np.abs(np.fft.rfft(frame)) ** 2 * (2 / pictures.WINDOW) ** 2
    widths = np.diff(np.clip(bands_hz() * pictures.WINDOW / RATE + 0.5, 0, len(bins)))
    total = bins.sum() - bins[0] / 2 - bins[-1] / 2  # half of these lies outside 0 to rate / 2
    np.testing.assert_allclose((power[:, 0] * widths).sum(), total, rtol=1e-6)


def test_what_sounds_late_is_drawn_on_the_right():
    wave = np.concatenate([np.zeros((2, RATE), np.float32), tone(440)], axis=1)
    power = pictures.spectrogram(wave, RATE).sum(0)
    assert power[: WIDTH * 2 // 5].max() < 1e-6 * power[WIDTH * 3 // 5 :].min()


def test_short_and_broken_waves_are_drawn_too():
    assert pictures.spectrogram(np.zeros((1, 0), np.float32), RATE).max() == 0
    wave = np.full((1, 4000), np.nan, np.float32)
    wave[:, ::2] = np.inf
    assert pictures.spectrogram(wave, RATE).max() == 0
    silent = pictures.loudest(wave, RATE)
    assert silent > 0
    picture = pictures.compare(wave[:, :0], wave[:, :0], silent, "bass", RATE)
    assert (picture[TITLE + 5, LEFT + 5] == pictures.COLOURS[0]).all()


def test_the_loudest_is_brightest_and_low_lies_below():
    power = np.full((HEIGHT, WIDTH), 1e-20)
    power[0] = 2.0  # lowest band
    picture = pictures.coloured(power, 2.0)
    assert (picture[-1] == pictures.COLOURS[-1]).all()
    assert (picture[0] == pictures.COLOURS[0]).all()


def test_louder_is_lighter():
    ramp = np.logspace(-8, 0, 50)[:, None]
    lightness = pictures.coloured(ramp, 1.0)[::-1, 0] @ np.array([0.299, 0.587, 0.114])
    assert (np.diff(lightness) > 0).all()


def test_truth_and_estimate_share_one_range():
    wave = tone(500)
    top = pictures.loudest(wave, RATE)
    picture = pictures.compare(wave, wave * 0.1, top, "vocals", RATE)
    half = len(picture) // 2
    row = TITLE + HEIGHT - 1 - int(np.searchsorted(bands_hz(), 500) - 1)
    above, below = picture[row, LEFT + WIDTH // 2], picture[half + row, LEFT + WIDTH // 2]
    assert above.astype(int).sum() > below.astype(int).sum() > sum(pictures.COLOURS[0])


def test_labels_are_written_in_the_margins():
    wave = tone(500)
    picture = pictures.compare(wave, wave, 1.0, "vocals", RATE)
    other = pictures.compare(wave, wave, 1.0, "bass", RATE)
    margins = np.ones(picture.shape[:2], bool)
    for top in (TITLE, len(picture) // 2 + TITLE):
        margins[top : top + HEIGHT, LEFT : LEFT + WIDTH] = False
    assert (picture == other)[~margins].all()
    assert (picture != other)[margins].any()
    assert (picture[:, : LEFT - 8] != pictures.PAPER).any()


@pytest.mark.parametrize("count, shape", [(1, (4, 3)), (3, (8, 6)), (4, (8, 6))])
def test_pictures_side_by_side(count, shape):
    drawn = [np.full((4, 3, 3), i, np.uint8) for i in range(count)]
    together = pictures.beside(drawn)
    assert together.shape == (*shape, 3)
    if count == 3:
        assert (together[4:, 3:] == pictures.PAPER).all()


def test_files_hold_what_was_given():
    from PIL import Image

    rgb = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    assert (np.asarray(Image.open(io.BytesIO(pictures.png(rgb)))) == rgb).all()
    wave = np.array([[0.5, -2, np.nan], [0.25, 2, 0]], np.float32)
    read, rate = soundfile.read(io.BytesIO(pictures.wav(wave, 8000)))
    assert rate == 8000
    np.testing.assert_allclose(read.T, [[0.5, -1, 0], [0.25, 1, 0]], atol=1e-4)
