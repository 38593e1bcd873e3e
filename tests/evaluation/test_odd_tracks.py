"""Evaluation of tracks that are not alike, are called oddly, or lead into errors of our own."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
import scored_songs
import soundfile
import stem_files

from pipelines.evaluation import command, estimates, protocol, systems, work
from pipelines.evaluation.data import find
from pipelines.evaluation.plan import _check_names
from pipelines.evaluation.scoring import Settings
from pipelines.tracks.track import Track, with_file_names
from xumx_jax import files
from xumx_jax.errors import UserError
from xumx_jax.evaluation.scores import TrackScores, read_folder

SAMPLES = 400


@pytest.fixture
def songs(tmp_path):
    """Three tracks; one has a guitar besides."""
    root = scored_songs.make(tmp_path / "songs", samples=SAMPLES)
    scored_songs.write(root / "test/one/guitar.wav", scored_songs.noise(7, SAMPLES))
    return root


@pytest.fixture
def run(tmp_path, capsys):
    """`run(*arguments) -> (status, stderr)`, with scores of the whole track alone."""

    def run(*arguments):
        made = ["--evaldir", str(tmp_path / "scores"), "--metrics", "usdr"]
        status = command.main([*map(str, arguments), *made])
        return status, capsys.readouterr().err

    return run


def scored(tmp_path, track, where="scores"):
    content = json.loads((tmp_path / where / "test" / f"{track}.json").read_text())
    return sorted(content["xumx_jax"]["whole"])


@pytest.mark.slow
def test_a_source_of_one_track_is_not_missed_in_the_others(run, songs, tmp_path):
    status, err = run("--model", "mixture", "--root", songs)
    assert status == 0
    assert err == "evaluate: note: guitar: 1 of 3 tracks have it; it is not scored\n"
    assert scored(tmp_path, "one") == scored(tmp_path, "two") == sorted(scored_songs.SOURCES)


@pytest.mark.slow
def test_a_source_of_a_track_that_is_left_out_is_not_missed(run, songs):
    assert run("--model", "mixture", "--root", songs, "--track", "two") == (0, "")


@pytest.mark.slow
def test_a_source_that_is_asked_for_is_missed_by_name(run, songs):
    status, err = run("--model", "mixture", "--root", songs, "--targets", "guitar", "vocals")
    assert status == 1 and err.count("\n") == 2
    assert "two: " in err and "no guitar.wav (nor .flac); wanted a file for each of" in err


@pytest.mark.slow
def test_an_estimate_of_a_source_that_one_track_has(run, songs, tmp_path):
    folder = scored_songs.estimate(songs, tmp_path / "theirs")
    scored_songs.write(folder / "test/one/guitar.wav", scored_songs.noise(8, SAMPLES))
    status, err = run("--estimates", folder, "--root", songs)
    assert status == 0 and err.startswith("evaluate: note: guitar: 1 of 3 tracks have it")


@pytest.mark.slow
def test_a_baseline_scores_what_it_has_rules_for(run, songs, tmp_path):
    hand_set = ["--model", "hand-set", "--root", songs, "--track", "one"]
    assert run(*hand_set, "--targets", "vocals", "accompaniment")[0] == 0
    assert scored(tmp_path, "one") == ["accompaniment", "vocals"]
    assert run(*hand_set, "--overwrite")[0] == 0
    assert scored(tmp_path, "one") == sorted(scored_songs.SOURCES)
    status, err = run(*hand_set, "--targets", "guitar", "--overwrite")
    assert status == 2 and err == (
        "evaluate: error: hand-set: no rule for guitar; wanted vocals, drums, bass, other\n"
    )


def test_a_model_whose_sources_the_chosen_tracks_lack(songs, tiny_model):
    for name in ("two", "three"):
        (songs / "test" / name / "other.wav").unlink()
    data = find(songs, "test")
    chosen = [track for track in data.tracks if track.name != "one"]
    with pytest.raises(UserError, match="no track has other, which it separates"):
        systems.model("it", "it", [(str(tiny_model), 1)], data, [], {"niter": 0}, chosen)


def test_titles_are_no_paths():
    titles = ["..", ".", "", "AC/DC", "AC-DC", "a\0b", "plain", "...And Justice", "AC-DC (2)"]
    names = [track.name for track in with_file_names([Track(t, None, {}) for t in titles])]
    assert len(set(names)) == len(names)
    assert all(files.safe_name(name, "") == name for name in names)
    assert names[6:8] == titles[6:8], "good names stay"
    assert [names[4], names[8]] == ["AC-DC", "AC-DC (2)"] and names[3] == "AC-DC (3)"


@pytest.mark.slow
def test_stems_with_titles_of_dots_are_scored_inside_their_folders(run, tmp_path):
    root = tmp_path / "songs"
    for title in ("", ".", "..", "...And Justice"):
        ending = ".Stem.MP4" if title == "." else ".stem.mp4"
        stem_files.write(root / "test" / f"{title}{ending}")
    stem_files.write(root / "test" / "._x.stem.mp4").write_bytes(b"AppleDouble")
    out = tmp_path / "out" / "estimates"
    status, err = run("--model", "mixture", "--root", root, "--outdir", out)
    assert (status, err) == (0, "")
    found = sorted(path.stem for path in (tmp_path / "scores/test").glob("track*.json"))
    assert found == ["track 1", "track 3", "track 4"]
    assert len(list((tmp_path / "scores/test").iterdir())) == 4
    assert {p.name for p in out.iterdir()} == {"test"}
    assert len(list((out / "test").iterdir())) == 4
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"estimates"}


def test_labels_are_no_paths(tmp_path, monkeypatch):
    inner = tmp_path / "method" / "inner"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    assert systems.label_of("..")[0] == "method" and systems.label_of(".")[0] == "inner"


def test_targets_are_no_paths(songs):
    data = find(songs, "test")
    system = systems.oracle("mixture", "mixture", data, ["vocals"])
    _check_names([system])
    for target in ("../vocals", "..", ""):
        with pytest.raises(UserError, match="cannot be the name of a file"):
            _check_names([replace(system, targets=(target,))])


def test_files_of_earlier_runs_are_inside_their_folder(tmp_path):
    folder = tmp_path / "estimates"
    folder.mkdir()
    (tmp_path / "mine.wav").write_bytes(b"kept")
    names = dict.fromkeys(["../mine.wav", "..", ".", "", "old.wav"], "digest")
    (folder / "origin.json").write_text(json.dumps({"files": names}))
    (folder / "old.wav").write_bytes(b"an earlier run's")

    def write(paths):
        for path in paths.values():
            path.write_bytes(b"new")

    estimates.save(folder, ["vocals"], write, {"digest": "x"})
    assert (tmp_path / "mine.wav").read_bytes() == b"kept"
    assert sorted(p.name for p in folder.iterdir()) == ["origin.json", "vocals.wav"]


@pytest.mark.slow
def test_an_error_of_ours_is_told_as_one_and_the_others_are_scored(
    run, songs, monkeypatch, tmp_path
):
    def broken(self, system, song, paths):
        if song.track.name == "two":
            raise ValueError("shapes do not match")
        return original(self, system, song, paths)

    original = work.Work._separate
    monkeypatch.setattr(work.Work, "_separate", broken)
    status, err = run("--model", "mixture", "--root", songs, "--targets", "vocals", "drums")
    assert status == 1 and "Traceback (most recent call last)" in err and "in broken" in err
    assert err.endswith(
        "evaluate: error: two: unexpected ValueError: shapes do not match; "
        "please report this, with the output of `xumx doctor --json`\n"
    )
    assert scored(tmp_path, "one") == scored(tmp_path, "three") == ["drums", "vocals"]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["mp3", "ogg", "aiff", "M4A"])
def test_stems_and_estimates_of_other_formats_are_decoded(run, tmp_path, suffix):
    from xumx_jax import audio

    root = tmp_path / "songs"
    for name in ("vocals", "drums"):
        wave = 0.1 * np.random.default_rng(len(name)).normal(size=(2, 44100)).astype(np.float32)
        for place in (root / "test/one", tmp_path / "theirs/one"):
            place.mkdir(parents=True, exist_ok=True)
            if suffix == "aiff":
                soundfile.write(place / f"{name}.aiff", wave.T, 44100)
            else:
                audio.encode(place / f"{name}.{suffix.lower()}", wave, 44100)
                os.rename(place / f"{name}.{suffix.lower()}", place / f"{name}.{suffix}")
    status, err = run("--estimates", tmp_path / "theirs", "--root", root)
    assert (status, err) == (0, "")
    assert scored(tmp_path, "one") == ["drums", "vocals"]
    content = json.loads((tmp_path / "scores/test/one.json").read_text())
    assert content["xumx_jax"]["whole"]["vocals"]["uSDR"] > 90, "the same files"


@pytest.mark.slow
def test_a_mixture_that_is_not_finite_is_named(run, songs):
    wave = scored_songs.noise(3, SAMPLES)
    wave[100] = np.nan
    scored_songs.write(songs / "test/two/mixture.wav", wave, subtype="FLOAT")
    status, err = run("--model", "mixture", "--root", songs, "--track", "two", "three")
    assert status == 1 and err == (
        f"evaluate: error: two: {songs}/test/two: its mixture is NaN or infinite at 0.01 s; "
        "wanted finite samples\n"
    )


def test_scores_that_macos_or_a_title_hides(tmp_path):
    scores = TrackScores("a", {}, whole={"vocals": {"uSDR": 1.0}})
    scores.save(tmp_path / "test" / "...And Justice.json")
    (tmp_path / "test" / "._a.json").write_bytes(b"AppleDouble")
    assert [found.track for found in read_folder(tmp_path)] == ["...And Justice"]
    system = systems.System("it", "it", {}, ("vocals",))
    with pytest.raises(UserError, match="And Justice.json: has metrics"):
        protocol.check_strangers(tmp_path / "test", [], system, Settings())
