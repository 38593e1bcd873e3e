"""Stem files, decoded into memory and into WAV files."""

import os

import numpy as np
import pytest
import soundfile
import stem_files

from pipelines.tracks.musdb_stems import STREAMS, decoded_bytes, read_stems, write_stems
from xumx_jax.errors import UserError


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    return stem_files.write(tmp_path_factory.mktemp("stems") / "song.stem.mp4")


def test_streams_come_out_by_name(song):
    stems, rate = read_stems(song)
    assert rate == stem_files.RATE and tuple(stems) == STREAMS
    for pitch, wave in zip(stem_files.PITCHES, stems.values(), strict=True):
        assert wave.dtype == np.float32 and abs(wave.shape[1] - stem_files.LENGTH) <= 1024
        assert np.abs(stem_files.pitch(wave) - pitch).max() <= 2
        left, right = wave.std(axis=1)
        assert abs(left / right - 2) < 0.1


def test_wav_files_hold_the_same(song, tmp_path):
    write_stems(song, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(f"{n}.wav" for n in STREAMS)
    assert sum(p.stat().st_size for p in tmp_path.iterdir()) == decoded_bytes(song)
    for name, wave in read_stems(song)[0].items():
        path = tmp_path / f"{name}.wav"
        read, rate = soundfile.read(path, dtype="float32")
        assert rate == stem_files.RATE and soundfile.info(path).subtype == "PCM_16"
        np.testing.assert_allclose(read.T, wave, atol=0.51 / 32768)
        assert os.stat(path).st_mtime_ns == os.stat(song).st_mtime_ns


def test_other_numbers_of_streams_are_refused(tmp_path):
    path = stem_files.write(tmp_path / "song.mp4", [440, 600])
    with pytest.raises(UserError, match="song.mp4: 2 audio streams, wanted 5"):
        read_stems(path)


def test_what_is_not_a_stem_file_is_named(tmp_path):
    path = tmp_path / "song.stem.mp4"
    with pytest.raises(UserError, match="song.stem.mp4: no such file"):
        read_stems(path)
    path.write_bytes(b"words" * 100)
    with pytest.raises(UserError, match="song.stem.mp4: cannot be decoded"):
        read_stems(path)


@pytest.mark.parametrize("fault", ["half", "damaged"])
def test_what_cannot_be_decoded_whole_is_named(song, tmp_path, fault):
    raw = bytearray(song.read_bytes())
    if fault == "half":
        del raw[len(raw) // 2 :]
    else:
        raw[3000:5000] = bytes(range(250)) * 8
    path = tmp_path / "song.stem.mp4"
    path.write_bytes(raw)
    with pytest.raises(UserError, match="song.stem.mp4: cannot be decoded .Invalid data"):
        read_stems(path)


def test_a_stream_that_ends_early_is_named(song, monkeypatch):
    monkeypatch.setattr("pipelines.tracks.musdb_stems.ALLOWANCE_SECONDS", -1.0)
    with pytest.raises(UserError, match=r"song.stem.mp4: mixture ends after \d+ of \d+ samples"):
        read_stems(song)
