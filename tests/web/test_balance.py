"""Mixes at another speed and another pitch."""

import numpy as np
import pytest
from web_jobs import RATE, finished, sound

from xumx_jax.audio import encode
from xumx_jax.web.balance import BLOCK, Balance

TONE, SECONDS = 441, 7


@pytest.fixture(scope="module", params=[1, 2], ids=["mono", "stereo"])
def job(request, tmp_path_factory):
    """(folder, result) of a job whose stems are a tone."""
    place = tmp_path_factory.mktemp("tone")
    time = np.arange(SECONDS * RATE) / RATE
    tone = np.sin(2 * np.pi * TONE * time)[None] * np.ones((request.param, 1))
    encode(place / "tone.wav", tone, RATE)
    return place / "job", finished(place / "job", place / "tone.wav")


def heard(job, **options):
    """The samples of a balance, whose blocks are as long as those of others."""
    balance = Balance({"bass": (1.0, 0.0)}, **options)
    balance.check(job[1])
    blocks = list(balance.blocks(*job))
    assert {block.dtype for block in blocks} == {np.dtype(np.float32)}
    assert all(block.shape[1] == BLOCK for block in blocks[:-1])
    made = np.concatenate(blocks, axis=1)
    assert made.shape == (job[1].channels, balance.length(job[1]))
    return made


def pitch(wave):
    return np.argmax(np.abs(np.fft.rfft(wave))) * RATE / len(wave)


@pytest.mark.parametrize("semitones", [-12, -5, 0, 1, 7, 12])
@pytest.mark.parametrize("speed", [0.5, 0.8, 1.0, 2.0])
def test_pitch_and_speed(job, speed, semitones):
    made = heard(job, speed=speed, transpose=semitones)
    assert made.shape[1] == round(SECONDS * RATE / speed)
    wanted = TONE * 2 ** (semitones / 12)
    for second in (made[:, :RATE], made[:, -RATE:]):
        for channel in second:
            assert pitch(channel) == pytest.approx(wanted, rel=0.01)
            assert 0.15 < np.abs(channel[2000:-2000]).max() < 0.35  # at its level
    assert np.abs(made[:, -2000:]).max() > 0.1  # its end was not lost in the filter


@pytest.mark.parametrize("speed", [1.0, 0.75])
def test_no_transposition_changes_nothing(job, speed):
    assert np.array_equal(heard(job, speed=speed), heard(job, speed=speed, transpose=0))
    if speed == 1:
        floats = np.fromfile(job[0] / "bass.f32", "<f4").reshape(-1, job[1].channels).T
        assert np.array_equal(heard(job), floats)


def test_a_part_and_its_beginning(tmp_path):
    """What begins suddenly begins where it did."""
    wave = np.zeros((2, 3 * RATE), np.float32)
    wave[:, RATE:] = sound(2.0)
    encode(tmp_path / "song.wav", wave, RATE, bits="32f")
    job = tmp_path / "job", finished(tmp_path / "job", tmp_path / "song.wav")
    for semitones in (-12, 3, 12):
        made = heard(job, transpose=semitones, start=RATE // 2, frames=RATE)
        loud = np.flatnonzero(np.abs(made[0]) > 0.05)
        assert made.shape == (2, RATE) and abs(loud[0] - RATE / 2) < 0.05 * RATE


@pytest.mark.parametrize("frames", [1, 100])
def test_almost_nothing(job, frames):
    assert heard(job, frames=frames, transpose=5, speed=0.5).shape[1] == 2 * frames
