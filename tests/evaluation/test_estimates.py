"""Estimates on disk: what belongs to whom, and what is done with those that do not fit."""

import json

import numpy as np
import pytest
import scored_songs
import soundfile

from pipelines.evaluation import estimates
from pipelines.evaluation.data import find
from pipelines.evaluation.song import opened
from xumx_jax import audio
from xumx_jax.errors import UserError

ORIGIN = {"model": "demo", "digest": "abc", "options": {"niter": 1, "chunk_seconds": None}}


def stems(*names):
    return {name: scored_songs.noise(i, 100).T.astype(np.float32) for i, name in enumerate(names)}


def save(folder, made, rate, origin):
    def write(paths):
        audio.encode_all({paths[name]: wave for name, wave in made.items()}, rate, bits="32f")

    estimates.save(folder, list(made), write, origin)


def test_what_was_saved_belongs_to_its_origin_alone(tmp_path):
    made = stems("bass", "vocals")
    save(tmp_path, made, 8000, ORIGIN)
    for name, wave in made.items():
        read, rate = soundfile.read(tmp_path / f"{name}.wav", dtype="float32")
        assert rate == 8000
        np.testing.assert_array_equal(read.T, wave)
    assert estimates.belong(tmp_path, ["bass"], ORIGIN)
    assert not estimates.belong(tmp_path, ["bass", "drums"], ORIGIN)
    assert not estimates.belong(tmp_path, ["bass"], ORIGIN | {"digest": "abd"})
    assert not estimates.belong(tmp_path / "elsewhere", ["bass"], ORIGIN)
    scored_songs.write(tmp_path / "bass.wav", scored_songs.noise(5, 100), subtype="FLOAT")
    assert estimates.belong(tmp_path, ["bass"], ORIGIN, look_inside=False)
    assert not estimates.belong(tmp_path, ["bass"], ORIGIN)
    assert estimates.belong(tmp_path, ["vocals"], ORIGIN)


def test_what_was_broken_off_belongs_to_nobody(tmp_path, monkeypatch):
    save(tmp_path, stems("bass", "vocals"), 8000, ORIGIN)

    def full(*arguments, **options):
        raise UserError("full")

    with monkeypatch.context() as patched:
        patched.setattr("xumx_jax.audio.encode_all", full)
        with pytest.raises(UserError):
            save(tmp_path, stems("bass", "vocals"), 8000, ORIGIN)
    assert not estimates.belong(tmp_path, ["bass"], ORIGIN)


@pytest.mark.parametrize("content", ["", "{}", "[]", json.dumps({**ORIGIN, "files": {}})])
def test_a_note_that_tells_nothing(tmp_path, content):
    save(tmp_path, stems("bass"), 8000, ORIGIN)
    (tmp_path / estimates.ORIGIN).write_text(content)
    assert not estimates.belong(tmp_path, ["bass"], ORIGIN)


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file/one/origin.json: cannot be written"):
        save(tmp_path / "file" / "one", stems("bass"), 8000, ORIGIN)


def test_files_of_targets(tmp_path):
    for name in ("vocals.wav", "drums.flac", "bass.wav"):
        scored_songs.write(tmp_path / name, scored_songs.noise(0, 10))

    def parts(target):
        return ("drums", "bass")

    found = estimates.find(tmp_path, ["vocals", "accompaniment"], parts)
    assert {target: [p.name for p in paths] for target, paths in found.items()} == {
        "vocals": ["vocals.wav"],
        "accompaniment": ["drums.flac", "bass.wav"],
    }
    scored_songs.write(tmp_path / "accompaniment.wav", scored_songs.noise(0, 10))
    found = estimates.find(tmp_path, ["accompaniment"], parts)
    assert [path.name for path in found["accompaniment"]] == ["accompaniment.wav"]
    with pytest.raises(UserError, match=r"no estimate other.wav \(nor .flac\)"):
        estimates.find(tmp_path, ["other", "vocals"], parts)


def test_mono_estimates_of_a_stereo_song(tmp_path):
    root = scored_songs.make(tmp_path, ["one"], samples=500)
    path = scored_songs.write(tmp_path / "bass.wav", scored_songs.noise(0, 500, 1))
    data = find(root, "test")
    with opened(data.tracks[0], data) as song:
        waves, notes = estimates.open_waves({"bass": [path]}, song)
        assert waves.shape == (1, 2, 500)
        np.testing.assert_array_equal(waves[:, :1, :], waves[:, 1:, :])
        assert notes == ["bass.wav is mono, the track is not; it went to both sides"]
