"""Which tracks a folder has, in which form, and what adds up to a target."""

import pytest
import scored_songs
import stem_files

from pipelines.evaluation import data as test_sets
from xumx_jax.errors import UserError


def names(data):
    return [track.name for track in data.tracks]


def test_wav_with_mixtures(tmp_path):
    data = test_sets.find(scored_songs.make(tmp_path, ["b", "a"], samples=10), "test")
    assert (data.kind, names(data)) == ("wav", ["a", "b"])
    assert data.sources == ("vocals", "drums", "bass", "other")
    assert data.targets == (*data.sources, "accompaniment")
    assert data.parts(data.tracks[0], "accompaniment") == ("drums", "bass", "other")
    assert data.parts(data.tracks[0], "bass") == ("bass",)


def test_stems_come_before_folders_unless_wav_is_asked_for(tmp_path):
    path = stem_files.write(tmp_path / "test" / "packed.stem.mp4")
    scored_songs.make(tmp_path, ["folder"], samples=10)
    data = test_sets.find(tmp_path, "test")
    assert (data.kind, names(data)) == ("stems", ["packed"])
    assert data.tracks[0].files == (path,)
    data = test_sets.find(tmp_path, "test", is_wav=True)
    assert (data.kind, names(data)) == ("wav", ["folder"])
    assert len(data.tracks[0].files) == 5


def test_tracks_right_in_the_root(tmp_path):
    scored_songs.make(tmp_path, ["a"], subset="", samples=10, mixture=False)
    data = test_sets.find(tmp_path, "test")
    assert (data.kind, data.subset, names(data)) == ("folder", "test", ["a"])


def test_two_stems_and_stems_beside_their_sum(tmp_path):
    two = scored_songs.make(tmp_path / "two", sources=("vocals", "accompaniment"), samples=10)
    data = test_sets.find(two, "test")
    assert data.targets == ("vocals", "accompaniment")
    assert data.parts(data.tracks[0], "accompaniment") == ("accompaniment",)
    five = scored_songs.make(
        tmp_path / "five", sources=("vocals", "guitar", "bass", "accompaniment"), samples=10
    )
    data = test_sets.find(five, "test")
    assert data.sources == ("vocals", "bass", "guitar")
    assert data.parts(data.tracks[0], "accompaniment") == ("bass", "guitar")


def test_what_is_common_and_what_a_track_lacks(tmp_path):
    scored_songs.make(tmp_path, samples=10)
    (tmp_path / "test" / "two" / "bass.wav").unlink()
    scored_songs.write(tmp_path / "test/one/guitar.wav", scored_songs.noise(0, 10))
    data = test_sets.find(tmp_path, "test")
    assert data.sources == ("vocals", "drums", "bass", "other", "guitar")
    assert data.common == ("vocals", "drums", "bass", "other")
    one, _, two = data.tracks
    assert data.parts(one, "accompaniment") == ("drums", "bass", "other", "guitar")
    assert data.parts(two, "accompaniment") == ("drums", "bass", "other")
    assert two.sources == ("vocals", "drums", "other")


def test_chosen_tracks(tmp_path):
    data = test_sets.find(scored_songs.make(tmp_path, samples=10), "test")
    assert [t.name for t in test_sets.choose(data, ["two", "one", "two"])] == ["two", "one"]
    assert [t.name for t in test_sets.choose(data, None, 2)] == ["one", "three"]
    with pytest.raises(UserError, match="unknown track 'four'; .* has one, three, two"):
        test_sets.choose(data, ["four"])


@pytest.mark.parametrize(
    ("root", "subset", "says"),
    [
        ("nowhere", "test", "no such folder; wanted the root of MUSDB18"),
        ("songs", "train", "unknown subset 'train'; .*songs has test"),
        ("songs/test", "train", "not called 'train'; use --subset test, or its parent"),
        ("empty", "test", "test: no such folder; wanted <track>.stem.mp4, or <track>/ with"),
        ("hollow", "test", "hollow/test: no tracks; wanted"),
    ],
)
def test_folders_without_what_was_wanted(tmp_path, root, subset, says):
    scored_songs.make(tmp_path / "songs", samples=10)
    (tmp_path / "empty").mkdir()
    (tmp_path / "hollow" / "test" / "one").mkdir(parents=True)
    with pytest.raises(UserError, match=says):
        test_sets.find(tmp_path / root, subset)


def test_other_music_of_the_same_name_and_size_is_told(tmp_path):
    scored_songs.make(tmp_path, ["a"], samples=10)
    before = test_sets.find(tmp_path, "test").tracks[0]
    path = before.files[0]
    content = path.read_bytes()
    assert test_sets.find(tmp_path, "test").tracks[0].digest == before.digest
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert test_sets.find(tmp_path, "test").tracks[0].digest != before.digest
