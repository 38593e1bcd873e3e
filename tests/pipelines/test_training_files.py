"""Files as people have them: any case and format, files of other programs, links, bad samples."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

import train
from pipelines.datasets import guess, open_data, open_split, open_tracks
from pipelines.evaluation.data import find, open_dataset
from pipelines.evaluation.song import opened as opened_song
from pipelines.loader import Loader
from pipelines.mixing.recipe import Recipe
from pipelines.tracks import folders, opening
from pipelines.tracks.split import Request
from xumx_jax import audio
from xumx_jax.errors import UserError

RATE, SAMPLES, TWO = 8000, 2000, ("drums", "bass")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XUMX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def noise(seed=0, samples=SAMPLES):
    return np.random.default_rng(seed).uniform(-0.3, 0.3, (samples, 2))


def write(path, seed=0, subtype="PCM_16", format="WAV"):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, noise(seed), RATE, subtype=subtype, format=format)
    return path


def set_of(root, tracks=2, names=("drums.wav", "bass.wav"), **options):
    for number in range(tracks):
        for seed, name in enumerate(names):
            write(root / f"song{number}" / name, 10 * number + seed, **options)
    return root


def opened(root, name="folder", targets=TWO, rate=RATE, **options):
    return open_data(name, root, targets, rate, 2, options)


def read(tracks, source=0, track=0):
    out = np.empty((tracks.length(source, track), 2), np.float32)
    tracks.read_into(source, track, 0, out)
    return out


def test_suffixes_and_usual_names_in_any_case(tmp_path):
    set_of(tmp_path / "train", names=("Drums.WAV", "BASS.Wav", "Mixture.WAV"))
    write(tmp_path / "train/song0/Guitar.FLAC", format="FLAC")
    tracks, _ = opened(tmp_path)
    assert tracks.sources == TWO and tracks.mixtures and tracks.integer
    data = find(tmp_path, "train")
    assert data.sources == ("drums", "bass", "Guitar") and data.kind == "wav"
    assert folders.find_stem(tmp_path / "train/song0", "drums").name == "Drums.WAV"
    assert folders.find_stem(tmp_path / "train/song0", "vocals") is None


def test_of_two_files_of_a_source_the_one_spelled_the_same_is_read(tmp_path):
    names = ("drums.wav", "Drums.WAV", "drums.flac", "bass.wav")
    set_of(tmp_path, names=names)
    tracks, _ = opened(tmp_path)
    assert [clip[0].file.path.name for clip in tracks.clips[0]] == ["drums.wav"] * 2


@pytest.mark.parametrize("name", ["aligned", "trackfolder_fix", "trackfolder_var"])
def test_named_files_are_found_in_any_case(tmp_path, name):
    set_of(tmp_path / "train", names=("Drums.WAV", "Bass.WAV"))
    options = {
        "aligned": {"input_file": "bass.wav", "output_file": "drums.wav"},
        "trackfolder_fix": {"target_file": "drums.wav", "interferer_files": "bass.wav"},
        "trackfolder_var": {"target_file": "drums.wav"},
    }
    tracks, _ = opened(tmp_path, name, ("drums",), **options[name])
    assert len(tracks.names) == 2 and not tracks.skipped
    np.testing.assert_allclose(read(tracks), noise(0), atol=1e-4)


@pytest.mark.parametrize("suffix", ["aiff", "aif", "mp3", "ogg", "M4A"])
def test_other_formats_are_decoded_once(tmp_path, cache, monkeypatch, suffix):
    rate, time = 44100, np.arange(22050) / 44100
    for seed, name in enumerate(("bass", "drums")):
        path = tmp_path / "set/train/song" / f"{name}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        wave = np.tile(0.5 * np.sin(2 * np.pi * (80 + 500 * seed) * time), (2, 1))
        if suffix.startswith("aif"):
            soundfile.write(path, wave.T, rate, format="AIFF")
        else:
            audio.encode(path.with_suffix(f".{suffix.lower()}"), wave.astype(np.float32), rate)
            path.with_suffix(f".{suffix.lower()}").rename(path)
    tracks, _ = opened(tmp_path / "set", rate=rate)
    assert tracks.integer and tracks.sources == TWO, "16-bit WAV, for random access"
    found = read(tracks, 1)[1000:21000, 0]
    spectrum = np.abs(np.fft.rfft(found))
    assert abs(spectrum.argmax() * rate / len(found) - 80) < 3
    assert len(list(cache.glob("decoded/*/song/*.wav"))) == 2
    monkeypatch.delattr("pipelines.tracks.coded.write_wav")
    again, _ = opened(tmp_path / "set", rate=rate)
    assert again.fingerprint() == tracks.fingerprint()
    data = find(tmp_path / "set", "train")
    with opened_song(data.tracks[0], data) as song:
        assert (song.rate, song.track.name) == (rate, "song")
        found = song.waves(["bass"])[:, :, :20000][0]
        np.testing.assert_allclose(found, read(again, 1)[:20000].T, atol=1e-4)


def test_clips_of_a_sourcefolder_are_decoded_too(tmp_path, cache):
    for name in ("hum", "speech"):
        write(tmp_path / "train" / name / "a.aiff", format="AIFF")
        write(tmp_path / "train" / name / "b.wav")
    (tmp_path / "train" / "docs").mkdir()
    (tmp_path / "train" / "hum" / "c.mp3").write_bytes(b"just words")
    tracks, _ = opened(tmp_path, "sourcefolder", ("speech",), max_skipped=0.3)
    assert tracks.sources == ("speech", "hum") and tracks.counts == [2, 2]
    np.testing.assert_allclose(read(tracks), noise(), atol=1e-4)
    ((name, why),) = tracks.skipped
    assert name == "hum/c.mp3" and "c.mp3: " in why
    assert len(list(cache.glob("decoded/*/*/a.wav"))) == 2


def test_a_file_that_cannot_be_decoded_is_named_and_its_track_left_out(tmp_path):
    set_of(tmp_path, 3, names=("drums.aiff", "bass.wav"), format="AIFF")
    for number in range(3):
        write(tmp_path / f"song{number}/bass.wav")
    (tmp_path / "song1/drums.aiff").write_bytes(b"just words")
    tracks, _ = opened(tmp_path, max_skipped=0.5)
    ((name, why),) = tracks.skipped
    assert name == "song1" and why.startswith(f"{tmp_path}/song1/drums.aiff: ")


def test_what_other_programs_leave_is_no_track_and_no_stem(tmp_path, capsys):
    set_of(tmp_path / "train")
    for name in ("__MACOSX/song0", ".git/objects", "docs", "empty"):
        (tmp_path / "train" / name).mkdir(parents=True)
    for name in ("song0/._drums.wav", "song0/Thumbs.db", "song0/.DS_Store", "docs/a.pdf"):
        (tmp_path / "train" / name).write_bytes(b"\0\5\x16\7")
    (tmp_path / "train/__MACOSX/song0/._drums.wav").write_bytes(b"\0\5\x16\7")
    (tmp_path / "train/song0/piano.wav.part").write_bytes(b"")
    tracks, _ = opened(tmp_path, max_skipped=0.0)
    assert tracks.names == ("song0", "song1") and tracks.sources == TWO
    assert [track.name for track in find(tmp_path, "train").tracks] == ["song0", "song1"]
    options = {"target_file": "drums.wav", "max_skipped": 0.0}
    (tracks,) = open_tracks("trackfolder_var", ["train"], tmp_path, ("drums",), RATE, 2, options)
    assert tracks.names == ("song0", "song1") and capsys.readouterr().err == ""


def test_titles_that_begin_with_dots_are_tracks(tmp_path):
    set_of(tmp_path)
    shutil.copytree(tmp_path / "song0", tmp_path / "...Baby One More Time")
    assert opened(tmp_path)[0].names == ("...Baby One More Time", "song0", "song1")


def test_a_root_with_other_subsets_alone(tmp_path):
    set_of(tmp_path / "valid")
    set_of(tmp_path / "test")
    with pytest.raises(UserError) as error:
        opened(tmp_path)
    wanted = f"{tmp_path}: has valid, test, but no train; wanted {tmp_path}/train"
    assert str(error.value) == wanted


def test_a_root_with_tracks_and_a_folder_to_validate_on(tmp_path):
    set_of(tmp_path, 3)
    set_of(tmp_path / "valid", 1)
    tracks, valid = opened(tmp_path, max_skipped=0.0)
    assert len(tracks.names) == 3 and valid.names == ("song0",)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_named(tmp_path, value):
    set_of(tmp_path, 1, subtype="FLOAT")
    wave = noise().astype(np.float32)
    wave[1000, 1] = value
    soundfile.write(tmp_path / "song0/bass.wav", wave, RATE, subtype="FLOAT")
    tracks, _ = opened(tmp_path)
    wanted = f"{tmp_path}/song0/bass.wav: a sample at 0.12 s is NaN or infinite; wanted finite"
    with Loader(tracks, Recipe(), 0, 1, SAMPLES, engine="threads") as batches:
        with pytest.raises(UserError, match=wanted):
            for _ in zip(range(20), batches, strict=False):
                pass
    with pytest.raises(UserError, match=wanted):
        tracks.mixture_into(0, 0, np.empty((SAMPLES, 2), np.float32))
    out = np.empty((900, 2), np.float32)
    tracks.read_into(1, 0, 0, out)
    np.testing.assert_array_equal(out, wave[:900])


def test_links_are_followed_and_links_to_nothing_are_one_line(tmp_path, capsys):
    real = set_of(tmp_path / "real", 9)
    root = tmp_path / "set [1]*" / "train"
    root.mkdir(parents=True)
    for folder in real.iterdir():
        (root / folder.name).symlink_to(folder)
    (root / "song0").unlink()
    (root / "song0").mkdir()
    (root / "song0/drums.wav").symlink_to(real / "song0/drums.wav")
    (root / "song0/bass.wav").symlink_to(real / "nowhere.wav")
    (root / "gone").symlink_to(tmp_path / "nowhere")
    tracks, _ = opened(root.parent, max_skipped=0.2)
    assert tracks.names == tuple(f"song{n}" for n in range(1, 9))
    (line,) = capsys.readouterr().err.splitlines()
    assert f"gone ({root}/gone: a link to {tmp_path}/nowhere, which is missing)" in line
    assert f"song0 ({root}/song0/bass.wav: a link to {real}/nowhere.wav, which is m" in line
    data = find(root.parent, "train")
    for name in ("gone", "song0"):
        (track,) = (track for track in data.tracks if track.name == name)
        with pytest.raises(UserError, match="a link to"), opened_song(track, data):
            pass


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied", str(self))

    set_of(tmp_path / "train")
    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(UserError, match="train: cannot be listed .Permission denied."):
        opened(tmp_path)


def test_the_users_folder_within_options(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    set_of(tmp_path / "music/train")
    assert len(opened("~/music")[0].names) == 2
    assert guess("~/music") == "folder"
    (tmp_path / "music/train/a.stem.mp4").write_bytes(b"")
    assert guess("~/music") == "musdb"
    assert len(open_dataset("folder", "~/music", "train").tracks) == 2
    assert find("~/music", "train", is_wav=True).root == tmp_path / "music"
    _, workdir, _ = train.parse(["--config", "xumx", "--workdir=~/runs/a"])
    assert workdir == tmp_path / "runs/a"
    shutil.copy(Path(train.__file__).parent / "configs/xumx.py", tmp_path / "mine.py")
    assert train.parse(["--config=~/mine.py"])[1] == Path("runs/mine")
    assert os.environ["HOME"] == str(tmp_path)


def test_music_that_is_silent_throughout_is_named(tmp_path):
    for number in range(2):
        for name in TWO:
            path = write(tmp_path / f"songs/song{number}/{name}.wav")
            soundfile.write(path, np.zeros((SAMPLES, 2)), RATE)
    words = ["--config", "xumx:tiny", f"--config.data.root={tmp_path / 'songs'}"]
    words += [
        "--config.model.args.sample_rate=8000",
        "--config.model.args.sources=('drums','bass')",
    ]
    config, _, _ = train.parse(words)
    data = train.open_data(config)
    with pytest.raises(UserError, match="songs: every mixture is silent; wanted music to train on"):
        list(data.mixes())
    write(tmp_path / "songs/song1/bass.wav")
    assert len(list(train.open_data(config).mixes())) == 2


def test_two_tracks_of_one_name_are_two_tracks(tmp_path):
    set_of(tmp_path)
    split = open_split("folder", tmp_path, Request("train"), {})
    same = replace(split, tracks=tuple(replace(track, name="song") for track in split.tracks))
    tracks = opening.open_tracks(same, TWO, RATE, 2)
    assert tracks.names == ("song", "song") and tracks.counts == [2, 2]
