"""Pictures of stems: where a tone is seen, what silence is, and that length costs no memory."""

import tracemalloc

import av
import numpy as np
import pytest

from xumx_jax.errors import Cancelled, UserError
from xumx_jax.web import spectrogram
from xumx_jax.web.errors import Gone
from xumx_jax.web.jobs import Result, Stem

RATE, WIDTH, HEIGHT = 44100, 100, 64
OCTAVES = np.log2(spectrogram.HIGHEST_HZ / spectrogram.LOWEST_HZ)


def job(folder, wave, rate=RATE):
    """A job whose stem "a" is [channel, time]."""
    np.ascontiguousarray(wave.T, "<f4").tofile(folder / "a.f32")
    return Result(rate, len(wave), wave.shape[1], 1.0, (Stem("a", 44, 1.0),))


def seen(path):
    """Red, green, blue and opacity [row, column, 4] as a browser would see them."""
    with av.open(str(path)) as file:
        return next(file.decode(video=0)).to_ndarray(format="rgba").astype(int)


def tone(hertz, seconds=2.0, rate=RATE, channels=2):
    time = np.arange(round(seconds * rate)) / rate
    return 0.5 * np.sin(2 * np.pi * hertz * time)[None] * np.ones((channels, 1))


def row_of(hertz):
    """Where a frequency is, from above."""
    return int(np.log2(spectrogram.HIGHEST_HZ / hertz) / OCTAVES * HEIGHT)


@pytest.mark.parametrize("hertz", [100, 440, 1000, 4000, 12000])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_tone_is_a_bright_line_at_its_place(tmp_path, hertz, channels):
    result = job(tmp_path, tone(hertz, channels=channels))
    path = spectrogram.picture(tmp_path, result, "a", WIDTH, HEIGHT)
    made = seen(path)
    assert made.shape == (HEIGHT, WIDTH, 4)
    light = made[..., :3].sum(axis=2) * made[..., 3]
    brightest = light[:, 10:-10].mean(axis=1).argmax()
    assert abs(brightest - row_of(hertz)) <= 1
    far = [row for row in range(HEIGHT) if abs(row - brightest) > 20]
    assert made[far, 10:-10, 3].max() == 0


def test_its_level_is_that_of_the_sound(tmp_path):
    for level in (1.0, 0.1):
        result = job(tmp_path, 2 * level * tone(1000))
        db = spectrogram.decibels(tmp_path / "a.f32", result, 20, 512, lambda: None)
        assert db[:, 10].max() == pytest.approx(20 * np.log10(level), abs=3)


def test_what_begins_and_ends_is_seen_when_it_does(tmp_path):
    wave = tone(1000, 4.0)
    wave[:, :RATE], wave[:, 3 * RATE :] = 0, 0
    path = spectrogram.picture(tmp_path, job(tmp_path, wave), "a", 200, HEIGHT)
    heard = np.flatnonzero(seen(path)[row_of(1000), :, 3] > 100)
    assert abs(heard[0] - 50) <= 3 and abs(heard[-1] - 149) <= 3


def test_channels_that_cancel_each_other_are_seen(tmp_path):
    wave = tone(1000) * np.array([[1.0], [-1.0]])
    path = spectrogram.picture(tmp_path, job(tmp_path, wave), "a", WIDTH, HEIGHT)
    assert seen(path)[row_of(1000), 50, 3] == 255


@pytest.mark.parametrize("frames", [0, 1, 100, 44100])
def test_silence_is_transparent_and_short_clips_are_no_error(tmp_path, frames):
    path = spectrogram.picture(tmp_path, job(tmp_path, np.zeros((2, frames))), "a", WIDTH, HEIGHT)
    assert seen(path)[..., 3].max() == 0
    spectrogram.picture(tmp_path, job(tmp_path, tone(1000)[:, :frames]), "a", 16, 16)


@pytest.mark.parametrize("rate", [8000, 96000, 192000])
def test_other_rates(tmp_path, rate):
    result = job(tmp_path, tone(1000, 1.0, rate), rate)
    db = spectrogram.decibels(tmp_path / "a.f32", result, 20, 256, lambda: None)
    highest = min(spectrogram.HIGHEST_HZ, rate / 2)
    octaves = np.log2(highest / spectrogram.LOWEST_HZ)
    assert db[:, 10].argmax() == pytest.approx(np.log2(highest / 1000) / octaves * 256, abs=3)


def test_three_hours_are_not_read_whole(tmp_path):
    frames = 3 * 3600 * RATE
    with (tmp_path / "a.f32").open("wb") as file:
        file.truncate(8 * frames)  # zeros that take no room on the disk
    result = Result(RATE, 2, frames, 1.0, (Stem("a", 44, 1.0),))
    tracemalloc.start()
    try:
        spectrogram.picture(tmp_path, result, "a", WIDTH, HEIGHT)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 64 << 20  # the stem is 3.8 GB


def test_it_is_made_once_and_few_are_kept(tmp_path):
    result = job(tmp_path, tone(1000, 0.2))
    first = spectrogram.picture(tmp_path, result, "a", 16, 16)
    made = first.stat().st_mtime_ns
    assert spectrogram.picture(tmp_path, result, "a", 16, 16).stat().st_mtime_ns == made
    for height in range(17, 17 + spectrogram.MOST_KEPT):
        last = spectrogram.picture(tmp_path, result, "a", 16, height)
    assert last.exists() and not first.exists()
    assert len(list(tmp_path.glob("*.png"))) == spectrogram.MOST_KEPT


def test_what_goes_wrong(tmp_path):
    result = job(tmp_path, tone(1000, 0.2))

    def cancel():
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        spectrogram.picture(tmp_path, result, "a", 16, 16, cancel)
    assert not list(tmp_path.glob("*.png"))
    (tmp_path / "a.f32").write_bytes(b"short")
    with pytest.raises(UserError, match=r"^a\.f32: ends before the song does$"):
        spectrogram.picture(tmp_path, result, "a", 16, 16)
    (tmp_path / "a.f32").unlink()
    with pytest.raises(Gone):
        spectrogram.picture(tmp_path, result, "a", 16, 16)
