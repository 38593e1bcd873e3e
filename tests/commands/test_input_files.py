"""What stands on the command line becomes tracks and folders."""

import io
import os
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from xumx_jax.commands.batch.input_files import Spool, find


@pytest.fixture
def files(tmp_path, monkeypatch):
    """`files(*names)` makes empty files in the current folder, which is an empty one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"music")))

    def make(*names):
        for name in names:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).touch()

    return make


def places(inputs, recursive=False, out="out"):
    with Spool() as spool:
        found = find(inputs, Path(out), recursive, spool)
    errors = [str(error) for _, error in found.errors]
    return {track.label: track.folder.as_posix() for track in found.tracks}, errors


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
        "m: no audio files in this folder (passed over: .txt 1); --recursive searches its "
        "subfolders too",
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
    assert len(find(given, Path("out"), False, Spool()).renamed) == 3
    assert find(["other.wav"], Path("out"), False, Spool()).renamed == []


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


def test_a_track_where_its_stems_would_go_is_refused_alone(files):
    files("out/song/song.wav", "a.wav")
    assert places(["out/song/song.wav", "a.wav"]) == (
        {"a.wav": "out/a"},
        ["out/song/song.wav: is in out/song, where its stems would go; use another --out"],
    )


@pytest.mark.parametrize("name", ["...wav", "..wav", "..stem.wav", "....wav", "....stem.wav"])
def test_a_title_is_no_path(files, name):
    files(name)
    ((label, folder),) = places([name])[0].items()
    assert label == name and Path(folder).parent == Path("out")
    assert Path("out").resolve() == Path(folder).resolve().parent


def test_titles_that_are_no_names_stay_distinct(files):
    files("...wav", "...mp3", "a/...wav", "b/...wav")
    found, errors = places(["...wav", "...mp3", "a/...wav", "b/...wav"])
    assert not errors and len({folder.casefold() for folder in found.values()}) == 4
    assert {Path(folder).parent for folder in found.values()} == {Path("out")}


def test_folders_with_brackets_and_patterns_below_them(files):
    files("a [live]/x.mp3", "a [live]/[1].mp3", "a l/x.mp3")
    wanted = {"a [live]/[1].mp3": "out/[1]", "a [live]/x.mp3": "out/x"}
    for given in (["a [live]"], ["a [live]/*.mp3"]):
        assert places(given) == (wanted, [])
    assert places(["a [live]/[1].mp3"])[0] == {"a [live]/[1].mp3": "out/[1]"}
    assert places(["a [l]/*.mp3"])[0] == {"a l/x.mp3": "out/a l/x"}


def test_links_are_followed_and_rings_end(files):
    files("m/a.mp3", "elsewhere/b.mp3", "elsewhere/deep/c.mp3")
    Path("m/linked").symlink_to("../elsewhere")
    Path("m/file.mp3").symlink_to("../elsewhere/b.mp3")
    Path("elsewhere/ring").symlink_to("../m")
    Path("m/gone.mp3").symlink_to("nowhere")
    Path("m/self.mp3").symlink_to("self.mp3")
    found, errors = places(["m"], recursive=True)
    assert not errors
    assert found == {
        "m/a.mp3": "out/a",
        "m/file.mp3": "out/file",  # and m/linked/b.mp3, the same file, only once
        "m/gone.mp3": "out/gone",  # whose turn will tell
        "m/linked/deep/c.mp3": "out/linked/deep/c",
        "m/self.mp3": "out/self",
    }


def test_a_folder_that_cannot_be_read_is_an_error_of_its_own(files, monkeypatch):
    files("m/a.mp3", "m/deep/b.mp3")
    scan = os.scandir

    def refuse(place):
        if Path(place).name == "deep":
            raise PermissionError(13, "Permission denied", place)
        return scan(place)

    monkeypatch.setattr(os, "scandir", refuse)
    assert places(["m"], recursive=True) == (
        {"m/a.mp3": "out/a"},
        ["m/deep: cannot be read: Permission denied"],
    )


def test_an_empty_name_is_no_folder(files):
    files("a.wav")
    assert places(["", "a.wav"]) == (
        {"a.wav": "out/a"},
        ["an input without a name; wanted a file, a folder, a pattern or -"],
    )


def test_home_is_known_where_the_shell_left_it(files, monkeypatch):
    files("home/a.wav", "~/b.wav")
    monkeypatch.setenv("HOME", str(Path("home").resolve()))
    assert places(["~/a.wav", "~/b.wav"])[0] == {"~/a.wav": "out/a", "~/b.wav": "out/b"}


def test_what_was_passed_over_is_counted(files):
    files("m/a.mp3", "m/1.jpg", "m/2.JPG", "m/x.cue", "m/README", "m/.hidden", "m/d/3.jpg")
    with Spool() as spool:
        found = find(["m"], Path("out"), True, spool)
    assert found.passed_over == {".jpg": 3, ".cue": 1, "no suffix": 1}


def test_pipes_are_read_to_their_end_once(files):
    os.mkfifo("song.mp3")
    writer = threading.Thread(target=Path("song.mp3").write_bytes, args=(b"piped",))
    writer.start()
    with Spool() as spool:
        found = find(["song.mp3", "song.mp3", "-"], Path("out"), False, spool)
        writer.join()
        first, second = found.tracks
        assert first.path.read_bytes() == b"piped" and second.path.read_bytes() == b"music"
        assert (first.label, first.folder) == ("song.mp3", Path("out/song"))
    assert not first.path.exists()


def test_pipes_of_the_shell_have_a_name(files):
    reader, writer = os.pipe()
    os.write(writer, b"piped")
    os.close(writer)
    try:
        assert places([f"/dev/fd/{reader}"])[0] == {f"/dev/fd/{reader}": "out/pipe"}
    finally:
        os.close(reader)


def test_errors_of_the_system_are_told_in_its_words(files, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    files("a.wav")
    found, (error,) = places(["-", "a.wav"])
    assert found == {"a.wav": "out/a"}
    assert error.startswith("stdin: cannot be copied to ") and "No space left on device" in error


def test_titles_may_begin_with_dots_and_hidden_files_stay_hidden(files):
    files("m/...Baby.wav", "m/.hidden.wav", "m/...And Justice/b.wav", "m/.git/c.wav")
    wanted = {"m/...And Justice/b.wav": "out/...And Justice/b", "m/...Baby.wav": "out/...Baby"}
    for given in ("m", "m/**/*.wav"):
        assert places([given], recursive=True) == (wanted, [])


def test_a_user_that_nobody_knows_is_an_error_of_that_input(files):
    files("a.wav")
    found, errors = places(["~nobody-knows-me/*.wav", "a.wav"])
    assert found == {"a.wav": "out/a"}
    assert errors == ["~nobody-knows-me/*.wav: no file matches"]
    assert places(["~nobody-knows-me/a.wav"])[0] == {"~nobody-knows-me/a.wav": "out/a"}


def test_many_tracks_of_one_name(files):
    names = [f"{number % 7}/{number}/mix.wav" for number in range(300)]
    files(*names)
    found = places(names)[0]
    assert len(set(found.values())) == 300 and found["0/0/mix.wav"] == "out/0_mix"


def test_copies_of_pipes_have_no_folder_in_their_names(files):
    os.mkfifo("song.mp3")
    writer = threading.Thread(target=Path("song.mp3").write_bytes, args=(b"piped",))
    writer.start()
    files("song.wav")
    found, errors = places(["song.mp3", "song.wav"])
    writer.join()
    assert found["song.mp3"] in ("out/song", "out/song_2") and not errors
