"""What stands on the command line becomes tracks and folders."""

from pathlib import Path

import pytest

from xumx_jax.commands.batch.input_files import find
from xumx_jax.errors import UserError


@pytest.fixture
def files(tmp_path, monkeypatch):
    """`files(*names)` makes empty files in the current folder, which is an empty one."""
    monkeypatch.chdir(tmp_path)

    def make(*names):
        for name in names:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).touch()

    return make


def places(inputs, recursive=False, out="out"):
    tracks, errors, _ = find(inputs, Path(out), recursive, Path("/tmp/stdin"))
    return {track.label: track.folder.as_posix() for track in tracks}, [str(e) for e in errors]


def test_files_of_any_name_are_taken_at_their_word(files):
    files("a.mp3", "b", "c [live].wav", "d.stem.mp4")
    assert places(["a.mp3", "b", "c [live].wav", "d.stem.mp4", "missing.wav", "-"]) == (
        {
            "a.mp3": "out/a",
            "b": "out/b",
            "c [live].wav": "out/c [live]",
            "d.stem.mp4": "out/d",
            "missing.wav": "out/missing",
            "stdin": "out/stdin",
        },
        [],
    )


def test_folders_keep_their_subfolders(files):
    files("m/b.WAV", "m/a.mp3", "m/x.txt", "m/.hidden.wav", "m/deep/a.mp3", "m/.git/a.wav")
    assert places(["m"]) == ({"m/a.mp3": "out/a", "m/b.WAV": "out/b"}, [])
    found, _ = places(["m"], recursive=True)
    assert found == {"m/a.mp3": "out/a", "m/b.WAV": "out/b", "m/deep/a.mp3": "out/deep/a"}


def test_stems_are_not_separated_again(files):
    files("song.wav", "separated/song/bass.wav")
    once = {"song.wav": "separated/song"}, []
    assert places(["."], True, "separated") == once
    assert places(["**/*.wav"], out="separated") == once
    assert places(["separated/*/*.wav"], out="separated")[0] == {
        "separated/song/bass.wav": "separated/song/bass"
    }


def test_stems_may_go_into_the_folder_of_the_tracks(files):
    files("music/song.wav")
    assert places(["music"], out="music")[0] == {"music/song.wav": "music/song"}
    assert places(["music"], out=".")[0] == {"music/song.wav": "song"}


def test_patterns_find_files_once(files):
    files("a.wav", "b.wav", "m/c.wav", "x.wav/in.txt")
    assert places(["*.wav", "a.wav", "./b.wav"])[0] == {"a.wav": "out/a", "b.wav": "out/b"}
    assert places(["**/*.wav"])[0] == {"a.wav": "out/a", "b.wav": "out/b", "m/c.wav": "out/m/c"}
    assert places(["m/*.wav"])[0] == {"m/c.wav": "out/c"}
    absolute = {(Path.cwd() / "m" / "c.wav").as_posix(): "out/m/c"}
    assert places([f"{Path.cwd()}/[m]/*"])[0] == absolute


def test_nothing_found_is_an_error_of_that_input(files):
    files("m/x.txt", "a.wav", "deep/er/a.wav")
    found, errors = places(["m", "*.mp3", "deep", "a.wav"])
    assert found == {"a.wav": "out/a"}
    assert errors == [
        "m: no audio files in this folder; --recursive searches its subfolders too",
        "*.mp3: no file matches",
        "deep: no audio files in this folder; --recursive searches its subfolders too",
    ]


def test_names_at_the_limits(files):
    long = "ü" * 125 + ".wav"  # 254 bytes
    files(long, "-dash.wav")
    assert places([long, "./-dash.wav"])[0] == {
        long: f"out/{long[:-4]}",
        "./-dash.wav": "out/-dash",
    }
    assert places(["x" * 300]) == ({}, [f"{'x' * 300}: cannot be read: File name too long"])


def test_tracks_that_differ_by_suffix_get_folders_of_their_own(files):
    files("m/song.mp3", "m/song.wav", "m/other.wav")
    found, _ = places(["m"])
    assert found == {
        "m/song.mp3": "out/song.mp3",
        "m/song.wav": "out/song.wav",
        "m/other.wav": "out/other",
    }


def test_tracks_of_one_name_get_distinct_folders(files):
    files("a/song.wav", "b/Song.mp3", "x/b/song.wav", "a_song.wav", "other.wav", "song/in.wav")
    given = ["a/song.wav", "b/Song.mp3", "x/b/song.wav", "a_song.wav", "other.wav"]
    found = {
        "a/song.wav": "out/a_song_2",  # the file of that name keeps it
        "b/Song.mp3": "out/b_Song",
        "x/b/song.wav": "out/b_song_2",
        "a_song.wav": "out/a_song",
        "other.wav": "out/other",
    }
    assert places(given) == (found, [])
    assert len(find(given, Path("out"), False, None)[2]) == 3
    assert find(["other.wav"], Path("out"), False, None)[2] == []


def test_stdin_and_long_names_get_numbers(files):
    long = "x" * 251 + ".wav"
    files("stdin.wav", f"a/{long}", f"b/{long}")
    assert places(["stdin.wav", "-", "-"])[0] == {
        "stdin.wav": "out/" + Path.cwd().name + "_stdin",
        "stdin": "out/stdin",
    }
    assert places([f"a/{long}", f"b/{long}"])[0] == {
        f"a/{long}": f"out/{long[:-4]}",
        f"b/{long}": f"out/{long[:-4]}_2",
    }


def test_a_track_where_its_stems_would_go_is_refused(files):
    files("out/song/song.wav")
    with pytest.raises(UserError, match="is in out/song, where its stems would go"):
        places(["out/song/song.wav"])
