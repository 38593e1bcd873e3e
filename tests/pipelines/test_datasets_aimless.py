"""The data sets of AIMLESS but speech in noise: layouts, splits, and what is refused."""

import shutil

import numpy as np
import pytest
import soundfile

import train
from pipelines.datasets import RECIPES, open_data, open_tracks
from pipelines.datasets.label_noise import clean_tracks
from pipelines.evaluation.data import open_dataset
from pipelines.tracks.shares import divide
from xumx_jax.errors import UserError

RATE = 8000
FOUR = ("drums", "bass", "other", "vocals")
FILMS = ("mix", "music", "sfx", "speech")
VALID = "Leaf - Summerghost"  # one of MUSDB18's 14


def write(folder, files, channels=2):
    folder.mkdir(parents=True)
    for name in files:
        rng = np.random.default_rng(sum(f"{folder.name}/{name}".encode()))
        soundfile.write(folder / f"{name}.wav", rng.uniform(-0.2, 0.2, (60, channels)), RATE)


def read(tracks, track, source=None):
    out = np.empty((60, 2), np.float32)
    if source is None:
        tracks.mixture_into(track, 0, out)
    else:
        tracks.read_into(tracks.sources.index(source), track, 0, out)
    return out


def opened(name, root, targets, **options):
    return open_data(name, root, targets, RATE, 2, options)


@pytest.fixture
def films(tmp_path):
    """Mono, as Divide and Remaster is."""
    for split, count in (("tr", 3), ("cv", 2), ("tt", 1)):
        for number in range(count):
            write(tmp_path / "dnr" / split / f"{split}{number}", FILMS, 1)
    return tmp_path / "dnr"


@pytest.fixture(scope="module")
def thirty(tmp_path_factory):
    root = tmp_path_factory.mktemp("songs")
    for number in range(30):
        write(root / f"song {number}", FOUR)
    return root


@pytest.fixture
def songs(thirty, tmp_path):
    return shutil.copytree(thirty, tmp_path / "songs")


def test_dnr(films):
    targets = ("speech", "music", "sfx")
    train, valid = opened("dnr", films, targets)
    assert train.names == ("tr0", "tr1", "tr2") and valid.names == ("cv0", "cv1")
    assert train.sources == targets and train.integer and train.aligned
    waves = {
        name: soundfile.read(films / "tr" / "tr1" / f"{name}.wav", dtype="float32")[0]
        for name in FILMS
    }
    for source in targets:
        np.testing.assert_array_equal(read(train, 1, source), waves[source][:, None].repeat(2, 1))
    np.testing.assert_array_equal(read(train, 1), waves["mix"][:, None].repeat(2, 1))
    (test,) = open_tracks("dnr", ["test"], films, targets, RATE, 2, {})
    assert test.names == ("tt0",)
    one, _ = opened("dnr", films, ("music",))
    assert one.sources == ("music", "sfx", "speech")


def test_dnr_with_its_validation_in_training(films, capsys):
    train, valid = opened("dnr", films, ("music",), include_val=True)
    assert train.names == ("tr0", "tr1", "tr2", "cv0", "cv1") and valid.names == ("cv0", "cv1")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("data: ") and "validation is on tracks that are trained on too" in line
    assert open_dataset("dnr", films, "test", (), {"include_val": True}).tracks[0].name == "tt0"
    assert not capsys.readouterr().err


def test_examples_of_films_are_the_films_themselves():
    from configs.common import base

    config = base()
    recipe = train.mixing_of(config, "dnr")
    assert (recipe.same_song, recipe.gain, recipe.swap) == (1.0, (1.0, 1.0), 0.0)
    config.recipe.same_song = 0.0  # mixed at random
    assert train.mixing_of(config, "dnr").same_song == 0 and "label_noise" not in RECIPES


@pytest.mark.parametrize("name", ["label_noise", "bleed"])
def test_a_tenth_is_held_out_by_name(songs, name):
    found, valid = opened(name, songs, FOUR)
    (test,) = open_tracks(name, ["test"], songs, FOUR, RATE, 2, {})
    assert not set(found.names) & set(valid.names) and test.names == valid.names
    assert len(found.names) + len(valid.names) == 30 and 1 <= len(valid.names) <= 8
    assert not found.mixtures, "the mixture is the sum, whatever else is there"
    total = sum(read(found, 0, source) for source in FOUR)
    np.testing.assert_allclose(read(found, 0), total, atol=1e-6)
    write(songs / "another", (*FOUR, "mixture"))
    more = opened(name, songs, FOUR)
    assert set(more[0].names) >= set(found.names) and set(more[1].names) >= set(valid.names)


def test_names_are_divided_by_their_hashes():
    names = [f"{number}" for number in range(2000)]
    shares = {"train": 0.9, "valid": 0.1}
    found = divide(names, shares)
    assert sorted(sum(found.values(), [])) == sorted(names)
    # 4 standard deviations of a binomial number
    assert abs(len(found["valid"]) - 200) < 4 * np.sqrt(2000 * 0.9 * 0.1)
    assert divide(reversed(names), shares) == found
    half = divide(names[::2], shares)
    assert all(set(half[split]) <= set(found[split]) for split in shares)
    for count in range(1, 8):
        few = divide(names[:count], {"tr": 0.7, "cv": 0.1, "tt": 0.2})
        assert sum(map(len, few.values())) == count
        assert sum(map(bool, few.values())) == min(count, 3)
    assert divide([], shares) == {"train": [], "valid": []}


def table(songs, tmp_path, text, encoding="utf-8"):
    path = tmp_path / "clean.csv"
    path.write_text(text, encoding)
    return {"clean": str(path)}


def test_only_tracks_that_are_clean_are_used(songs, tmp_path):
    rows = "".join(f"song {n},{'Y' if n % 3 else 'N'},\n" for n in range(25))
    clean = table(songs, tmp_path, f"ID,Clean,Notes\n{rows}\nsong 26, y ,\n", "utf-8-sig")
    found, valid = opened("label_noise", songs, FOUR, **clean)
    wanted = {f"song {n}" for n in range(25) if n % 3} | {"song 26"}
    assert {*found.names, *valid.names} == wanted and valid.names
    every = opened("label_noise", songs, FOUR)
    assert set(found.names) <= set(every[0].names), "none that was held out is trained on"
    data = open_dataset("label_noise", songs, "test", (), clean)
    assert tuple(track.name for track in data.tracks) == valid.names


@pytest.mark.parametrize(
    "text, says",
    [
        (
            "ID,Clean,Notes\nsong 1,Y,\nsong 99,N,\nsung,Y,\n",
            "names tracks that {songs} does not have: song 99, sung",
        ),
        (
            "ID,Clean,Notes\n" + "".join(f"x{n},Y,\n" for n in range(9)),
            "x0, x1, x2, x3, x4 and 4 more",
        ),
        ("song 1,Y,\n", "begins with 'song 1,Y,'; wanted 'ID,Clean,Notes'"),
        ("", "begins with ''; wanted 'ID,Clean,Notes'"),
        ("ID,Clean,Notes\nsong 1\n", "row 2 is 'song 1'; wanted ID,Clean,Notes"),
        ("ID,Clean,Notes\nsong 1,N,\n", "no track has Y in its second column"),
        ("\0", "begins with"),
    ],
)
def test_tables_that_do_not_fit_are_one_line(songs, tmp_path, text, says):
    with pytest.raises(UserError) as error:
        opened("label_noise", songs, FOUR, **table(songs, tmp_path, text))
    message = str(error.value)
    assert says.format(songs=songs) in message and message.startswith(f"{tmp_path}/clean.csv: ")
    assert "\n" not in message


def test_tables_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "latin.csv").write_bytes("ID,Clean,Notes\nä,Y,\n".encode("latin-1"))
    for name in ("missing.csv", "latin.csv"):
        with pytest.raises(UserError, match=f"{name}: cannot be read as CSV"):
            clean_tracks(tmp_path / name, {"ä"}, tmp_path)


def musdb(root):
    files = ("mixture", *FOUR)
    for split, names in (("train", ("A", "B", VALID)), ("test", ("C",))):
        for name in names:
            write(root / split / name, files)
    return root


def test_voiceless_mixtures_have_no_vocals(tmp_path):
    root, targets = musdb(tmp_path / "HQ"), ("other", "bass", "drums")
    found, valid = opened("musdb_voiceless", root, targets)
    assert found.names == ("A", "B") and valid.names == (VALID,) and found.sources == targets
    total = sum(read(found, 1, source) for source in targets)
    np.testing.assert_allclose(read(found, 1), total, atol=1e-6)
    wave = soundfile.read(root / "train" / "B" / "mixture.wav", dtype="float32")[0]
    vocals = soundfile.read(root / "train" / "B" / "vocals.wav", dtype="float32")[0]
    assert np.abs(read(found, 1) - wave).max() > 0.1 and vocals.any()
    data = open_dataset("musdb_voiceless", root, "test")
    assert data.sources == ("drums", "bass", "other") and data.tracks[0].name == "C"
    # the digest is that of what adds up to the mixture: other vocals are no other track
    before = data.tracks[0].digest
    (root / "test" / "C" / "vocals.wav").unlink()
    assert open_dataset("musdb_voiceless", root, "test").tracks[0].digest == before
    with pytest.raises(UserError, match="no source 'vocals'; known: drums, bass, other"):
        opened("musdb_voiceless", root, ("vocals",))
    shutil.rmtree(root / "train" / "A"), shutil.rmtree(root / "train" / "B")
    with pytest.raises(UserError, match="config.data.musdb_voiceless.valid_tracks= .none. trains"):
        opened("musdb_voiceless", root, targets)


CASES = {
    "dnr": (FILMS[1:], "no folder tr in it; wanted tr|cv|tt/<id>/{mix,music,sfx,speech}.wav"),
    "label_noise": (FOUR, "no tracks; wanted <track>/{drums,bass,other,vocals}.wav"),
    "bleed": (FOUR, "no tracks; wanted <track>/{drums,bass,other,vocals}.wav"),
    "musdb_voiceless": (FOUR[:3], "no tracks; wanted train/*.stem.mp4 or train/<track>"),
    "speech_noise": (("speech",), "no such folder; wanted ROOT/speech and ROOT/noise"),
}


@pytest.mark.parametrize("name", CASES)
def test_another_layout_is_one_line_at_every_door(name, tmp_path, capsys, monkeypatch):
    """Python, train.py and evaluate.py say what was wanted, and what is there."""
    from pipelines.evaluation import command

    targets, says = CASES[name]
    for folder in ("these", "are", "others"):
        (tmp_path / "root" / folder / "deep" / "er").mkdir(parents=True)
    root = tmp_path / "root"
    found = "" if name == "musdb_voiceless" else "; found are, others, these"
    with pytest.raises(UserError) as error:
        opened(name, root, targets)
    assert says in str(error.value) and found in str(error.value) and str(root) in str(error.value)

    words = ["--config=xumx", f"--workdir={tmp_path / 'run'}", f"--config.data.root={root}"]
    words += [f"--config.data.name={name}", f"--config.model.args.sources={targets!r}"]
    assert train.main(words) == 2
    line = capsys.readouterr().err
    assert says in line and found in line and line.count("\n") == 1

    words = ["--model", "mixture", "--dataset", name, "--root", str(root)]
    assert command.main([*words, "--evaldir", str(tmp_path / "scores")]) == 2
    line = capsys.readouterr().err
    assert str(root) in line and line.count("\n") == 1 and "unexpected" not in line
    if name != "musdb_voiceless":  # which says that there is no such split
        assert found in line


def test_tracks_that_lack_files_say_what_is_there(films, songs, tmp_path):
    for number in range(3):
        (films / "tr" / f"tr{number}" / "sfx.wav").rename(films / "tr" / f"tr{number}" / "fx.wav")
    with pytest.raises(UserError, match="3 of 3 tracks .* no sfx.wav .*; found fx.wav, mix.wav"):
        opened("dnr", films, FILMS[1:])
    (songs / "song 5" / "bass.wav").unlink()
    assert "song 5" in dict(opened("bleed", songs, FOUR)[0].skipped)


def test_places_that_are_near_get_a_hint(films, songs, tmp_path):
    with pytest.raises(UserError, match="no folder tr in it; .*; found dnr, songs"):
        opened("dnr", tmp_path, FILMS[1:])
    shutil.rmtree(films / "cv")
    assert opened("dnr", films, FILMS[1:])[1] is None
    with pytest.raises(UserError, match="no folder cv in it"):
        opened("dnr", films, FILMS[1:], include_val=True)
    (tmp_path / "prepared").mkdir()
    songs.rename(tmp_path / "prepared" / "train")
    with pytest.raises(UserError, match="data set 'folder' reads train/ and valid/"):
        opened("label_noise", tmp_path / "prepared", FOUR)
    packed = tmp_path / "packed" / "train"
    packed.mkdir(parents=True)
    (packed / "A.stem.mp4").touch()
    with pytest.raises(UserError, match="train: holds .stem.mp4; wanted MUSDB18-HQ"):
        opened("musdb_voiceless", tmp_path / "packed", FOUR[:3])
    for name in CASES:
        with pytest.raises(UserError, match="no data: give its folder"):
            opened(name, "", CASES[name][0])
