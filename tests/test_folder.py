"""Folders of stems that must all be whole."""

import numpy as np
import pytest
import soundfile

from pipelines.folder import Folder
from xumx_jax.errors import UserError

SOURCES = ("bass", "drums")
RATE = 8000


def build(root, **lengths):
    folder = root / "song"
    folder.mkdir(parents=True)
    for seed, (name, samples) in enumerate(lengths.items()):
        wave = np.random.default_rng(seed).uniform(-0.9, 0.9, (samples, 2))
        soundfile.write(folder / f"{name}.wav", wave, RATE)
    return folder


def test_excerpts_and_what_lies_beyond(tmp_path):
    folder = build(tmp_path, bass=50, drums=30)
    data = Folder(tmp_path, SOURCES, RATE)
    assert data.tracks == [("song", 50)]
    whole, _ = soundfile.read(folder / "drums.wav", dtype="float32")
    read = data.read(0, 1, 20, 40)
    np.testing.assert_array_equal(read[:, :10], whole[20:].T)
    assert read.shape == (2, 40) and not read[:, 10:].any()
    assert not data.read(0, 1, 35, 5).any(), "an excerpt beyond the end is silent"


def test_what_is_missing_or_other_is_named(tmp_path):
    for root, wanted in (("nowhere", "not a folder"), ("", "no tracks; wanted.*bass.wav")):
        with pytest.raises(UserError, match=wanted):
            Folder(tmp_path / root, SOURCES, RATE)
    build(tmp_path, bass=50)
    with pytest.raises(UserError, match="drums.wav: no such file"):
        Folder(tmp_path, SOURCES, RATE)
    with pytest.raises(UserError, match="bass.wav: sample rate 8000 Hz, wanted 44100 Hz"):
        Folder(tmp_path, SOURCES, 44100)
