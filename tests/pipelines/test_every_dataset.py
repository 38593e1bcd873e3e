"""Every data set opens its splits for training and for evaluation, which find the same music."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipelines.datasets import DATASETS, FREE_OPTIONS, open_tracks, options_of, parse_options
from pipelines.evaluation import command
from pipelines.evaluation.data import open_dataset
from pipelines.evaluation.song import opened
from pipelines.tracks import wav
from pipelines.tracks.track import Part, Track
from xumx_jax.errors import UserError
from xumx_jax.evaluation.scores import TrackScores

ROOT = Path(__file__).parents[2]
RATE, SAMPLES = 44_100, 2000
SPLITS = ("train", "valid", "test")
FOUR = ("bass", "drums", "other", "vocals")
HELD_OUT = "Leaf - Summerghost"  # one of MUSDB18's 14


def write(path, seed, samples=SAMPLES):
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = np.random.default_rng(seed).uniform(-0.2, 0.2, (samples, 2))
    soundfile.write(path, wave, RATE, subtype="PCM_16")


def folders(root, files=FOUR, splits=SPLITS, names=("one", "two")):
    """ROOT/<split>/<name>/<file>.wav, each different."""
    for split in splits:
        for name in names:
            for file in files:
                write(root / split / name / f"{file}.wav", sum(f"{split}/{name}/{file}".encode()))
    return root


def musdb(root):
    folders(root, (*FOUR, "mixture"), ("train",), ("one", HELD_OUT))
    return folders(root, (*FOUR, "mixture"), ("test",))


def dnr(root):
    return folders(root, ("mix", "music", "sfx", "speech"), ("tr", "cv", "tt"))


def challenge(root):
    """ROOT/<track>/<source>.wav: no folders of splits."""
    folders(root, splits=("in",), names=[f"{number}" for number in range(9)])
    return root / "in"


def talk(root):
    """Files of other rates and channels, at several depths."""
    for source, rate, channels in (("speech", 16_000, 1), ("noise", 22_050, 2)):
        for number in range(6):
            path = root / source / f"{number % 2}" / f"{number}.flac"
            path.parent.mkdir(parents=True, exist_ok=True)
            rng = np.random.default_rng(number)
            soundfile.write(path, rng.uniform(-0.2, 0.2, (12 * rate, channels)), rate)
    return root


def records(root):
    command = [sys.executable, "-m", "pipelines.records", "--config=folder"]
    command += [f"--manual_dir={folders(root / 'in')}", f"--data_dir={root / 'out'}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return root / "out"


# How small data are made, the targets of a model for them, and the options that they need.
CASES = {
    "folder": (folders, FOUR, ()),
    "musdb": (musdb, FOUR, ()),
    "aligned": (folders, ("vocals",), ("input_file=bass.wav", "output_file=vocals.wav")),
    "sourcefolder": (
        lambda root: folders(root, ("x", "y", "z"), names=("hum", "speech")),
        ("hum", "speech"), ("valid_examples=3",),
    ),
    "trackfolder_fix": (
        folders, ("vocals", "bass"),
        ("target_file=vocals.wav", "interferer_files=bass.wav,drums.wav"),
    ),
    "trackfolder_var": (folders, ("vocals",), ("target_file=vocals.wav",)),
    "generated": (
        lambda root: root, FOUR,
        ("songs=1", "valid_songs=1", "test_songs=1", "seconds=1", "processes=1"),
    ),
    "records": (records, FOUR, ()),
    "dnr": (dnr, ("music", "sfx", "speech"), ()),
    "label_noise": (challenge, FOUR, ()),
    "bleed": (challenge, FOUR, ()),
    "musdb_voiceless": (musdb, ("bass", "drums", "other"), ()),
    "speech_noise": (
        talk, ("speech", "noise"), ("valid_examples=3", "least_overlap_ratio=1.0"),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    """Of each data set, made when it is first asked for."""
    made = {}

    def root(name):
        if name not in made:
            made[name] = CASES[name][0](tmp_path_factory.mktemp(name))
        return made[name]

    return root


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("name", DATASETS)
def test_training_and_evaluation_read_the_same_of_every_split(roots, name, split):
    _, targets, words = CASES[name]
    options = parse_options(name, words)
    (tracks,) = open_tracks(name, [split], roots(name), targets, RATE, 2, options)
    assert tracks.names and set(targets) <= set(tracks.sources)
    for source, count in enumerate(tracks.counts):
        for track in range(count):
            out = np.zeros((50, 2), np.float32)
            tracks.read_into(source, track, tracks.length(source, track) // 2, out)
            assert out.any() or name == "generated", tracks.sources[source]  # singers pause
    data = open_dataset(name, roots(name), split, (), options)
    if not tracks.aligned:
        assert len(data.tracks) == 3, "evaluation has mixes where training draws its own"
        return
    assert tuple(track.name for track in data.tracks) == tracks.names
    assert set(data.sources) == set(tracks.sources)
    for number, track in enumerate(data.tracks):
        with opened(track, data) as song:
            assert (song.rate, song.samples) == (RATE, tracks.track_lengths[number])
            wanted = np.zeros((len(tracks.sources), song.samples, 2), np.float32)
            for source in range(len(tracks.sources)):
                tracks.read_into(source, number, 0, wanted[source])
            found = song.waves(tracks.sources)[:, :, :]
            np.testing.assert_allclose(found, wanted.swapaxes(1, 2), atol=1e-7)
            mixture = np.zeros((song.samples, 2), np.float32)
            tracks.mixture_into(number, 0, mixture)
            np.testing.assert_allclose(song.mix(), mixture.T, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", DATASETS)
def test_evaluate_scores_every_data_set(roots, name, tmp_path, capsys):
    words = [word for option in CASES[name][2] for word in ("--dataset-option", option)]
    where = ["--dataset", name, "--root", str(roots(name)), "--evaldir", str(tmp_path), *words]
    assert command.main(["--model", "mixture", "--limit", "1", "--metrics", "usdr", *where]) == 0
    told = capsys.readouterr()
    assert told.err == "" and "subset test, 1 of its " in told.out
    (path,) = (tmp_path / "test").glob("*.json")
    found = TrackScores.load(path)
    data = open_dataset(name, roots(name), "test", (), parse_options(name, CASES[name][2]))
    assert list(found.whole) == list(data.sources) and len(found.whole) > 1
    assert found.protocol["data"]["sha256"] == data.tracks[0].digest
    with opened(data.tracks[0], data) as song:
        truth, mix = song.waves(data.sources)[:, :, :].astype(float), song.mix()
    error = np.square(truth - mix).sum((1, 2))
    usdr = 10 * np.log10(np.square(truth).sum((1, 2)) / error)
    assert [one["uSDR"] for one in found.whole.values()] == pytest.approx(usdr, abs=1e-4)
    if name in ("records", "sourcefolder", "speech_noise"):  # whose tracks are known by their parts
        assert (
            command.main(["--model", "mixture", "--limit", "1", "--metrics", "usdr", *where]) == 0
        )
        assert "1 of 1 tracks are scored already" in capsys.readouterr().out


def test_options_that_do_not_matter_are_options():
    for name, free in FREE_OPTIONS.items():
        assert set(free) <= set(options_of(name))


def test_a_track_is_known_by_what_adds_up_to_its_sources(roots):
    """Other files of one folder, or another excerpt of one file, are another track."""

    def digests(name, *words):
        data = open_dataset(name, roots(name), "test", (), parse_options(name, words))
        return [track.digest for track in data.tracks]

    files = "target_file=vocals.wav"
    one = digests("trackfolder_fix", files, "interferer_files=bass.wav")
    assert one == digests("trackfolder_fix", files, "interferer_files=bass.wav")
    assert one != digests("trackfolder_fix", files, "interferer_files=drums.wav")
    mixes = digests("sourcefolder", "valid_examples=9")
    assert len(set(mixes)) > 1 and mixes[:3] == digests("sourcefolder", "valid_examples=3")
    file = wav.probe(roots("folder") / "test" / "one" / "bass.wav")
    parts = [Part(file, 1, 0, 9), Part(file, 1, 5, 9), Part(file, 1, 0, 8), Part(file, -1, 0, 9)]
    tracks = [Track("x", Path("x"), {"bass": (part,)}) for part in parts]
    assert len({track.digest for track in tracks}) == 4
    assert tracks[0].digest == Track("y", Path("y"), {"bass": (parts[0],)}).digest


def test_sources_that_are_named_are_all_that_a_folder_has(roots):
    def data(**options):
        return open_dataset("folder", roots("folder"), "test", (), options)

    chosen = data(sources="vocals,bass")
    assert chosen.sources == ("vocals", "bass") and len(data().sources) == 4
    assert chosen.tracks[0].digest != data().tracks[0].digest
    with opened(chosen.tracks[0], chosen) as song:
        both = song.waves(["vocals", "bass"])[:, :, :]
        np.testing.assert_allclose(song.mix(), both.sum(0), atol=1e-7)


def test_the_one_target_is_called_as_asked_for_or_as_its_file(roots):
    options = {"input_file": "bass.wav", "output_file": "vocals.wav"}
    assert open_dataset("aligned", roots("aligned"), "test", (), options).sources == (
        "vocals",
        "rest",
    )
    for targets in (("speech",), ("speech", "rest")):
        data = open_dataset("aligned", roots("aligned"), "test", targets, options)
        assert data.sources == ("rest", "speech")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--dataset", "foldr"], "unknown data set 'foldr'; did you mean 'folder'?; known: folder"),
        (["--dataset", "musdb", "--subset", "tset"], "'musdb' has no split 'tset'"),
        (["--dataset", "folder", "--subset", "tset"], "unknown subset 'tset'; "),
        (["--dataset", "musdb", "--dataset-option", "wav=1"], "has no option 'wav'"),
        (["--dataset", "musdb", "--dataset-option", "is_wav"], "is_wav: wanted KEY=VALUE"),
        (["--dataset", "musdb", "--dataset-option", "is_wav=1"], "got '1', wanted bool"),
        (["--dataset", "folder", "--dataset-option", "max_skipped=x"], "got 'x', wanted float"),
        (
            ["--dataset", "folder", "--dataset-option", "max_skipped=1"],
            "max_skipped is for training",
        ),
        (["--dataset-option", "is_wav=true"], "--dataset-option is_wav=true: use --dataset"),
        (["--dataset", "folder", "--is-wav"], "--is-wav is for MUSDB18; the data set is 'folder'"),
        (["--dataset", "aligned"], "needs the option input_file (--dataset-option input_file)"),
        (["--dataset", "folder", "--root", ""], "no data: give its folder, --root=FOLDER"),
    ],
)
def test_bad_options_are_one_line(roots, tmp_path, capsys, words, says):
    root = [] if "--root" in words else ["--root", str(roots("musdb"))]
    status = command.main(["--model", "mixture", "--evaldir", str(tmp_path), *root, *words])
    told = capsys.readouterr()
    assert status == 2 and told.err.count("\n") == 1, told.err
    assert told.err.startswith("evaluate: error: ") and says in told.err


def test_options_are_read_by_their_type():
    words = ["is_wav=true", "valid_tracks=A,B", "max_skipped=1"]
    found = parse_options("musdb", words)
    assert found == {"is_wav": True, "valid_tracks": "A,B", "max_skipped": 1.0}
    assert parse_options("generated", ["songs=3"]) == {"songs": 3}
    with pytest.raises(UserError, match="songs: got '3.5', wanted int"):
        parse_options("generated", ["songs=3.5"])
