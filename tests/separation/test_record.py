"""What is beside stems decides whether they are skipped, replaced or left alone."""

import hashlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from xumx_jax.errors import UserError
from xumx_jax.separation import record
from xumx_jax.separation.record import CHANGED, FINISHED, FREE, OTHER_MUSIC, OTHER_SETTINGS, UNKNOWN

MODEL = {"name": "x-umx", "sha256": "aa", "weight": 1.0}
NAMES = ("bass.wav", "vocals.wav")


def made(*names, bits="16"):
    return {
        name: {"of": {name.partition(".")[0]: 1}, "bits": bits, "bitrate": None} for name in names
    }


SONG = record.Record("11", (MODEL,), {"niter": 0}, "song.mp3", stems=made(*NAMES))


@pytest.fixture
def folder(tmp_path):
    """The folder of a song that was separated."""
    made = tmp_path / "out" / "song"
    made.mkdir(parents=True)
    fill(made, SONG)
    return made


def fill(folder, of, stems=None):
    stems = made(*NAMES) if stems is None else stems
    with record.renaming([folder / name for name in stems], replace(of, stems=stems)):
        for name in stems:
            (folder / name).write_bytes(of.input.encode())


def place(folder, wanted, stems=None, parent="album", taken=()):
    stems = made(*NAMES) if stems is None else stems
    found = record.find_place(folder, parent, stems, lambda: wanted, lambda at: at not in taken)
    return found[0].name, *found[1:]


def test_what_is_read_is_what_was_written(folder):
    found = record.read(folder)
    assert replace(found, stems={}) == replace(SONG, stems={})
    for name in NAMES:
        assert {**found.stems[name], **made(name)[name]} == found.stems[name]
        assert found.stems[name]["bytes"] == 2
        assert found.stems[name]["sha256"] == hashlib.sha256(b"11").hexdigest()
    text = (folder / record.FILE).read_text()
    assert str(folder) not in text and json.loads(text)["format"] == record.FORMAT


def test_the_same_stems_are_finished_and_the_tree_may_move(folder, tmp_path):
    moved = tmp_path / "elsewhere"
    folder.rename(moved)
    assert record.look(moved, made(*NAMES), lambda: SONG) == FINISHED
    os.utime(moved / "bass.wav")  # a copy has a time of its own
    assert record.look(moved, made(*NAMES), lambda: SONG) == FINISHED
    named = replace(SONG, models=({**MODEL, "name": "weights.h5"},), name="renamed.mp3")
    assert record.look(moved, made(*NAMES), lambda: named) == FINISHED
    assert record.look(moved, made(*NAMES, "drums.wav"), lambda: SONG) == FREE


@pytest.mark.parametrize("change", [{"bits": "24"}, {"of": {"bass": 1, "drums": 1}}])
def test_stems_made_in_another_way_are_others(folder, change):
    stems = {"bass.wav": {**made("bass.wav")["bass.wav"], **change}}
    assert place(folder, SONG, stems) == ("song_2", FREE, OTHER_SETTINGS)


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({"input": "22"}, OTHER_MUSIC),
        ({"options": {}}, OTHER_SETTINGS),
        ({"options": {"niter": 0, "shifts": 2}}, OTHER_SETTINGS),
        ({"models": ({**MODEL, "sha256": "bb"},)}, OTHER_SETTINGS),
        ({"models": ({**MODEL, "weight": 2.0},)}, OTHER_SETTINGS),
        ({"models": (MODEL, MODEL)}, OTHER_SETTINGS),
    ],
)
def test_other_stems_get_another_place_and_find_it_again(folder, change, state):
    other = replace(SONG, **change)
    name = "album_song" if state == OTHER_MUSIC else "song_2"
    assert place(folder, other) == (name, FREE, state)
    (folder.parent / name).mkdir()
    fill(folder.parent / name, other)
    assert place(folder, other) == (name, FINISHED, state)
    assert place(folder, SONG) == ("song", FINISHED, FINISHED)
    third = replace(other, options={"seed": 3, "shifts": 1})
    assert place(folder, third)[0] == ("song_2" if state == OTHER_MUSIC else "song_3")


def test_places_of_other_tracks_are_not_taken(folder):
    other = replace(SONG, options={})
    assert place(folder, other, taken=[folder.with_name("song_2")])[0] == "song_3"


def test_without_a_record_nothing_is_replaced(folder):
    (folder / record.FILE).unlink()
    assert place(folder, SONG) == ("song_2", FREE, UNKNOWN)
    assert place(folder, SONG, made("drums.wav")) == ("song", FREE, FREE)
    for name in NAMES:
        (folder / name).write_bytes(b"")  # what a full disk left
    assert place(folder, SONG) == ("song", FREE, FREE)


@pytest.mark.parametrize(
    "content",
    [
        *(
            "",
            "{",
            "[]",
            '{"format": 1}',
            '{"format": 99, "stems": {}}',
            '{"format": 1, "stems": 3}',
        ),
        *("[" * 100_000, '{"format": 1, "stems": {"a": {"bytes": Infinity}}}'),
    ],
)
def test_a_damaged_record_or_one_of_a_later_version_is_none(folder, content):
    (folder / record.FILE).write_text(content)
    assert record.read(folder) is None
    assert place(folder, SONG) == ("song_2", FREE, UNKNOWN)


def test_changed_stems_are_not_lost(folder):
    (folder / "bass.wav").write_bytes(b"edited")
    assert place(folder, SONG) == ("song_2", FREE, CHANGED)
    (folder / "bass.wav").write_bytes(b"12")  # of the same size
    assert place(folder, SONG) == ("song_2", FREE, CHANGED)
    assert place(folder, SONG, made("vocals.wav")) == ("song", FINISHED, FINISHED)


def test_stems_of_another_program_are_not_lost_beside_a_record(folder):
    (folder / "drums.wav").write_bytes(b"mine")
    assert place(folder, SONG, made("drums.wav")) == ("song_2", FREE, CHANGED)
    for name in NAMES:
        (folder / name).unlink()
    assert place(folder, SONG, made("drums.wav")) == ("song_2", FREE, UNKNOWN)


def test_whoever_writes_stems_without_a_record_takes_them_out_of_it(folder):
    with record.renaming([folder / "bass.wav"], None):
        (folder / "bass.wav").write_bytes(b"11")
    assert set(record.read(folder).stems) == {"vocals.wav"}
    assert place(folder, SONG) == ("song_2", FREE, CHANGED)
    with record.renaming([folder / "vocals.wav"], None):
        pass
    assert not (folder / record.FILE).exists()


def test_a_process_that_is_killed_leaves_no_record(folder):
    with pytest.raises(KeyboardInterrupt):
        with record.renaming([folder / "bass.wav"], SONG):
            raise KeyboardInterrupt
    assert place(folder, SONG) == ("song_2", FREE, UNKNOWN)


def test_stems_that_are_gone_are_made_again(folder):
    (folder / "bass.wav").unlink()
    assert place(folder, SONG) == ("song", FREE, FREE)
    (folder / "vocals.wav").unlink()
    assert place(folder, replace(SONG, input="22")) == ("song", FREE, FREE)


def test_stems_of_the_bundled_model_give_way_to_those_of_the_one_that_was_wanted(folder):
    poor = replace(SONG, models=({**MODEL, "sha256": "demo"},), fallback="x-umx")
    shutil.rmtree(folder)
    folder.mkdir()
    fill(folder, poor)
    assert place(folder, poor) == ("song", FINISHED, FINISHED)
    assert place(folder, SONG) == ("song", FREE, FREE)
    assert place(folder, SONG, made("bass.wav"))[0] == "song_2"  # the others would stay
    assert place(folder, replace(SONG, options={})) == ("song_2", FREE, OTHER_SETTINGS)
    third = replace(SONG, models=({**MODEL, "name": "umx"},))
    assert place(folder, third) == ("song_2", FREE, OTHER_SETTINGS)
    (folder / "bass.wav").write_bytes(b"edited")
    assert place(folder, SONG) == ("song_2", FREE, CHANGED)


def test_what_replaces_stems_of_other_settings_leaves_none_of_them(folder):
    (folder / "mine.txt").write_text("notes")
    fill(folder, replace(SONG, input="22"), made("bass.wav"))
    assert sorted(path.name for path in folder.iterdir()) == [record.FILE, "bass.wav", "mine.txt"]


def test_more_stems_of_the_same_join_those_that_are_there(folder):
    fill(folder, SONG, made("drums.flac"))
    assert record.look(folder, made(*NAMES, "drums.flac"), lambda: SONG) == FINISHED


def test_a_digest_is_made_only_where_something_is_there(tmp_path):
    def never():
        raise AssertionError

    assert record.look(tmp_path / "none", made(*NAMES), never) == FREE
    assert record.look(tmp_path, made(*NAMES), never) == FREE


def test_long_titles(tmp_path):
    folder = tmp_path / ("ü" * 127)
    folder.mkdir()
    fill(folder, SONG)
    for change in ({"input": "22"}, {"options": {}}):
        name, state, _ = place(folder, replace(SONG, **change))
        assert state == FREE and len(name.encode()) <= 255
        (tmp_path / name).mkdir()


def test_a_record_that_cannot_be_written_is_one_line(folder, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(UserError, match=r"song/\.separation\.json: cannot be written: No space"):
        with record.renaming([folder / "bass.wav"], SONG):
            pass
