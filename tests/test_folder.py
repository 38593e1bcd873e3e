"""Folder data sets: every format, every defect."""

import struct

import numpy as np
import pytest
import soundfile

from pipelines.folder import Folder, probe, splits
from xumx_jax.errors import UserError

SOURCES = ("bass", "drums")
RATE = 8000


def noise(samples=50, channels=2, seed=0):
    return np.random.default_rng(seed).uniform(-0.9, 0.9, (samples, channels))


def build(root, subtype="PCM_16", suffix=".wav", **stems):
    folder = root / "song"
    folder.mkdir(parents=True)
    for name, wave in stems.items():
        soundfile.write(folder / f"{name}{suffix}", wave, RATE, subtype=subtype)
    return folder


@pytest.mark.parametrize(
    "subtype, suffix",
    [("PCM_16", ".wav"), ("PCM_24", ".wav"), ("FLOAT", ".wav"), ("PCM_16", ".flac")],
)
def test_every_format_reads_as_soundfile_reads_it(tmp_path, subtype, suffix):
    folder = build(tmp_path, subtype, suffix, bass=noise(), drums=noise(seed=1))
    data = Folder(tmp_path, SOURCES, RATE)
    assert data.tracks == [("song", 50)]
    for source, name in enumerate(SOURCES):
        whole, _ = soundfile.read(folder / f"{name}{suffix}", dtype="float32")
        read = data.read(0, source, 7, 20)
        assert read.shape == (2, 20) and read.dtype == np.float32
        np.testing.assert_array_equal(read, whole[7:27].T)


def test_sixteen_bit_wav_does_not_need_a_decoder(tmp_path):
    folder = build(tmp_path, bass=noise())
    assert probe(folder / "bass.wav").offset == 44


def test_extensible_headers_and_unknown_chunks_are_understood(tmp_path):
    samples = (noise(6) * 32767).astype("<i2")
    form = struct.pack("<HHIIHHH", 0xFFFE, 2, RATE, RATE * 4, 4, 16, 22)
    form += struct.pack("<HIH", 16, 3, 1) + bytes(14)  # valid bits, speakers, PCM sub-format
    chunks = b"LIST" + struct.pack("<I", 3) + b"abc\0"
    chunks += b"fmt " + struct.pack("<I", len(form)) + form
    chunks += b"data" + struct.pack("<I", samples.nbytes) + samples.tobytes()
    path = tmp_path / "x.wav"
    path.write_bytes(b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WAVE" + chunks)
    stem = probe(path)
    assert (stem.samples, stem.channels, stem.rate) == (6, 2, RATE)
    assert stem.offset == path.stat().st_size - samples.nbytes


def test_length_unknown_to_the_writer_is_taken_from_the_file(tmp_path):
    path = build(tmp_path, bass=noise()) / "bass.wav"
    raw = bytearray(path.read_bytes())
    raw[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(raw)
    assert probe(path).samples == 50


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_short_stems_and_ends_are_padded_and_mono_is_widened(tmp_path, subtype):
    build(tmp_path, subtype, bass=noise(50), drums=noise(30, channels=1))
    data = Folder(tmp_path, SOURCES, RATE)
    assert data.tracks == [("song", 50)]
    bass, drums = (data.read(0, source, 20, 40) for source in range(2))
    assert bass[:, :30].all() and not bass[:, 30:].any()
    assert drums[:, :10].all() and not drums[:, 10:].any()
    np.testing.assert_array_equal(drums[0], drums[1])
    assert not data.read(0, 1, 35, 5).any(), "an excerpt beyond the end is silent"


def test_tracks_are_sorted_and_hidden_folders_and_files_left_alone(tmp_path):
    for name in ("b", "a", ".unfinished"):
        build(tmp_path / name, bass=noise())
        (tmp_path / name / "song").rename(tmp_path / f"{name}-song")
        (tmp_path / name).rmdir()
    (tmp_path / "notes.txt").write_text("x")
    data = Folder(tmp_path, ("bass",), RATE)
    assert [name for name, _ in data.tracks] == ["a-song", "b-song"]


def test_splits_are_found(tmp_path):
    assert splits(tmp_path) == (tmp_path, None)
    (tmp_path / "train").mkdir()
    assert splits(tmp_path) == (tmp_path / "train", None)
    (tmp_path / "test").mkdir()
    assert splits(tmp_path) == (tmp_path / "train", tmp_path / "test")
    (tmp_path / "valid").mkdir()
    assert splits(tmp_path) == (tmp_path / "train", tmp_path / "valid")


def fails(root, *wanted, rate=RATE):
    with pytest.raises(UserError) as error:
        Folder(root, SOURCES, rate)
    message = str(error.value)
    assert "\n" not in message
    for word in wanted:
        assert str(word) in message


def test_missing_root_and_no_tracks(tmp_path):
    fails(tmp_path / "nowhere", "nowhere", "not a folder")
    fails(tmp_path, tmp_path, "no tracks", "bass.wav")


def test_missing_stem(tmp_path):
    build(tmp_path, bass=noise())
    fails(tmp_path, tmp_path / "song" / "drums.wav", "no such file")


def test_other_rate(tmp_path):
    build(tmp_path, bass=noise(), drums=noise())
    fails(tmp_path, "bass.wav", "8000 Hz", "wanted 44100 Hz", rate=44100)


def test_too_many_channels(tmp_path):
    build(tmp_path, bass=noise(), drums=noise(channels=3))
    fails(tmp_path, "drums.wav", "3 channels", "wanted 2")


@pytest.mark.parametrize("content", [b"", b"no audio here, just words", b"RIFF\0\0\0\0WAVE"])
def test_not_audio(tmp_path, content):
    path = build(tmp_path, bass=noise(), drums=noise()) / "drums.wav"
    path.write_bytes(content)
    fails(tmp_path, path)


def test_half_a_file(tmp_path):
    path = build(tmp_path, bass=noise(), drums=noise()) / "drums.wav"
    path.write_bytes(path.read_bytes()[:100])
    fails(tmp_path, path, "cut short", "200 bytes", "56")


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_file_that_shrinks_or_vanishes_while_in_use(tmp_path, subtype):
    path = build(tmp_path, subtype, bass=noise(), drums=noise()) / "drums.wav"
    data = Folder(tmp_path, SOURCES, RATE)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match="drums.wav"):
        data.read(0, 1, 0, 50)
    path.unlink()
    with pytest.raises(UserError, match="drums.wav"):
        data.read(0, 1, 0, 50)
