"""Tracks opened: what is read is what lies in their files."""

import numpy as np
import pytest
import scored_songs
import soundfile
import stem_files

from pipelines.evaluation.data import find
from pipelines.evaluation.song import decode, opened, readable
from pipelines.tracks.musdb_stems import STREAMS, read_stems
from xumx_jax.errors import UserError


def test_stems_are_decoded_without_rounding_and_go_away(tmp_path):
    path = stem_files.write(tmp_path / "songs" / "test" / "song.stem.mp4")
    data = find(tmp_path / "songs", "test")
    wanted, rate = read_stems(path)
    with opened(data.tracks[0], data) as song:
        scratch = song.scratch
        assert (song.rate, song.channels, song.samples) == (rate, 2, wanted["bass"].shape[1])
        np.testing.assert_array_equal(song.mix(), wanted["mixture"])
        waves = song.waves(["vocals", "accompaniment"])
        np.testing.assert_array_equal(waves[:1, :, 50:90][0], wanted["vocals"][:, 50:90])
        rest = sum(wanted[name].astype(float) for name in ("drums", "bass", "other"))
        np.testing.assert_array_equal(waves[1:, :, :][0], rest)
        assert waves.dtype == np.float64 and scratch.is_dir()
    assert not scratch.exists()


def test_decoded_files_are_float(tmp_path):
    path = stem_files.write(tmp_path / "song.stem.mp4")
    decode(path, tmp_path / "out")
    for name in STREAMS:
        assert soundfile.info(tmp_path / "out" / f"{name}.wav").subtype == "FLOAT"


def test_decoding_wants_space(tmp_path, monkeypatch):
    path = stem_files.write(tmp_path / "song.stem.mp4")
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("Usage", (), {"free": 1000}))
    with pytest.raises(UserError, match=r"takes 1 MB, 0 MB is free; TMPDIR=FOLDER chooses"):
        decode(path, tmp_path / "out")


def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
    path = stem_files.write(tmp_path / "song.stem.mp4")

    def full(self, data):
        raise AssertionError

    monkeypatch.setattr(soundfile.SoundFile, "write", full)
    with pytest.raises(UserError, match=r"cannot be decoded into .*out \(the disk is full\)"):
        decode(path, tmp_path / "out")


def test_folders_without_a_mixture_are_summed(tmp_path):
    root = scored_songs.make(tmp_path, ["one"], mixture=False, samples=500)
    data = find(root, "test")
    with opened(data.tracks[0], data) as song:
        parts = [soundfile.read(root / f"test/one/{s}.wav")[0].T for s in scored_songs.SOURCES]
        np.testing.assert_allclose(song.mix(), sum(parts), atol=1e-7)
        assert song.mix().dtype == np.float32 and not song.notes


def test_a_mixture_is_taken_as_it_is(tmp_path):
    root = scored_songs.make(tmp_path, ["one"], samples=500)
    scored_songs.write(root / "test/one/mixture.wav", scored_songs.noise(9, 500))
    data = find(root, "test")
    with opened(data.tracks[0], data) as song:
        wanted = soundfile.read(root / "test/one/mixture.wav", dtype="float32")[0].T
        np.testing.assert_array_equal(song.mix(), wanted)


def test_mono_and_stereo_files_and_a_short_one(tmp_path):
    root = scored_songs.make(tmp_path, ["one"], samples=500, channels=1)
    data = find(root, "test")
    with opened(data.tracks[0], data) as song:
        assert song.waves(["bass"]).shape == (1, 1, 500)
    scored_songs.write(root / "test/one/drums.wav", scored_songs.noise(1, 400))
    with opened(data.tracks[0], data) as song:
        assert song.waves(["bass"]).shape == (1, 2, 500)
        assert song.notes == (
            "drums is 100 samples shorter than the longest file of the track and was padded "
            "with silence",
        )


def test_missing_stems_are_named(tmp_path):
    root = scored_songs.make(tmp_path, ["one", "two", "three"], samples=500)
    for name in ("bass", "drums"):
        (root / f"test/one/{name}.wav").unlink()
    data = find(root, "test")
    with opened(data.tracks[0], data) as song:
        assert song.waves(["vocals", "other"]).shape[0] == 2
        for targets in (["bass", "vocals", "drums"], ["accompaniment"]):
            with pytest.raises(UserError, match=r"one: no (bass|drums).wav, (bass|drums).wav \("):
                song.waves(targets)


def test_what_was_half_decoded_is_decoded_again(tmp_path):
    """Nothing lies at its name before it is complete."""
    wave, into = scored_songs.noise(1, 500), tmp_path / "decoded"
    scored_songs.write(tmp_path / "bass.aiff", wave)

    def stop():
        raise UserError("stopped")

    for _ in range(2):
        with pytest.raises(UserError, match="stopped"):
            readable(tmp_path / "bass.aiff", into, stop)
        assert not [path for path in into.rglob("*") if path.is_file()]
    place = readable(tmp_path / "bass.aiff", into)
    np.testing.assert_allclose(soundfile.read(place)[0], wave, atol=1e-4)
    written = place.stat().st_mtime_ns
    assert readable(tmp_path / "bass.aiff", into, stop) == place
    assert place.stat().st_mtime_ns == written
