"""Excerpts of files of any rate and number of channels, and silence around clips."""

import numpy as np
import pytest
import soundfile

from pipelines.tracks import wav
from pipelines.tracks.converted import converted
from pipelines.tracks.random_access import fill
from pipelines.tracks.track import whole
from xumx_jax.audio import resample

RATE = 8000


def write(path, seconds, rate=RATE, channels=1):
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, (round(seconds * rate), channels))
    soundfile.write(path, wave, rate)


@pytest.mark.parametrize("rate", [8000, 4000, 11_025, 22_050, 44_100, 192_000])
@pytest.mark.parametrize("channels", [1, 2, 4])
def test_excerpts_are_those_of_the_whole_file_converted(tmp_path, rate, channels):
    write(tmp_path / "x.wav", 0.5, rate, channels)
    wave = soundfile.read(tmp_path / "x.wav", dtype="float32", always_2d=True)[0]
    if channels == 4:
        wave = wave.mean(1, keepdims=True)
    wanted = resample(np.broadcast_to(wave, (len(wave), 2)).T.copy(), rate, RATE)
    file = converted(wav.probe(tmp_path / "x.wav"), RATE, 2)
    assert file.samples == wanted.shape[1] and file.channels == min(channels, 4 // channels)
    for start, count in ((0, 10), (1, 100), (1999, 777), (file.samples - 50, 50), (5, 0)):
        out = np.empty((count, 2), np.float32)
        file.read_into(start, out)
        np.testing.assert_allclose(out.T, wanted[:, start : start + count], atol=1e-5)


def test_clips_have_silence_on_both_sides(tmp_path):
    write(tmp_path / "x.wav", 0.01)
    clip = (whole(wav.probe(tmp_path / "x.wav")),)
    inside = np.empty((80, 2), np.float32)
    fill(clip, 0, inside)
    for start, count in ((-30, 200), (-200, 100), (-5, 40), (-3, 3)):
        out = np.full((count, 2), np.nan, np.float32)
        fill(clip, start, out)
        padded = np.pad(inside, ((300, 300), (0, 0)))
        np.testing.assert_array_equal(out, padded[300 + start : 300 + start + count])
