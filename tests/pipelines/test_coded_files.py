"""Files that are decoded into 16 bits before training: what is lost is said."""

import shutil
import sys

import numpy as np
import pytest
import soundfile

from pipelines.datasets import open_data
from xumx_jax.errors import UserError

RATE, SAMPLES = 8000, 800


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XUMX_CACHE", str(tmp_path / "cache"))


def noise(seed=0):
    return np.random.default_rng(seed).uniform(-0.3, 0.3, (SAMPLES, 2))


def write(path, wave, subtype="PCM_16"):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, RATE, subtype=subtype)


def opened(root):
    return open_data("folder", root, ("drums", "bass"), RATE, 2, {"max_skipped": 0.5})[0]


HOW = [pytest.param(1, id="processes", marks=pytest.mark.slow), pytest.param(10**9, id="here")]


@pytest.mark.parametrize("share", HOW)
def test_what_16_bits_cannot_hold_is_said_once(tmp_path, monkeypatch, share):
    monkeypatch.setattr("pipelines.datasets.decoded.SHARE_BYTES", share)
    root, wave = tmp_path / "set", noise(1)
    wave[100], wave[200] = (1.5, -1), (-2.25, 0)
    write(root / "song1/bass.aiff", wave, "FLOAT")
    wave[200] = np.nan
    write(root / "song0/bass.aiff", wave, "FLOAT")
    for number in range(2):
        write(root / f"song{number}/drums.aiff", noise())
    with pytest.warns(UserWarning) as warned:
        tracks = opened(root)
    assert [str(each.message) for each in warned] == [
        f"{root}/song1/bass.aiff: decoded into 16 bits, which clips 2 samples beyond full scale "
        "(up to 2.25); a WAV or FLAC file is read as it is"
    ]
    out = np.empty((SAMPLES, 2), np.float32)
    tracks.read_into(1, 0, 0, out)
    np.testing.assert_array_equal(out[[100, 200]], [[32767 / 32768, -1], [-1, 0]])
    ((name, why),) = tracks.skipped
    assert name == "song0" and "bass.aiff: a sample at 0.03 s is NaN or infinite" in why
    shutil.rmtree(root / "song0")
    assert opened(root).names == ("song1",), "without another warning"


@pytest.mark.slow
def test_a_killed_process_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.datasets.decoded.SHARE_BYTES", 1)
    monkeypatch.setattr("pipelines.datasets.decoded.follow_parent", sys.exit)
    for name in ("drums", "bass"):
        write(tmp_path / f"set/song/{name}.aiff", noise())
    with pytest.raises(UserError, match="a process that was decoding files was killed; start"):
        opened(tmp_path / "set")
