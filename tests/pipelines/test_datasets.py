"""Folders of stems, the registry, and what is left out of a data set and why."""

import numpy as np
import pytest
import soundfile

from pipelines.datasets import DATASETS, open_data
from xumx_jax.errors import UserError

SOURCES = ("drums", "bass")
RATE = 8000


def noise(samples=50, channels=2, seed=0):
    return np.random.default_rng(seed).uniform(-0.4, 0.4, (samples, channels))


def track(folder, files=("bass", "drums"), samples=50, suffix=".wav", **options):
    folder.mkdir(parents=True)
    for seed, name in enumerate(files):
        soundfile.write(folder / f"{name}{suffix}", noise(samples, seed=seed), RATE, **options)
    return folder


def tracks(root, count=3, **options):
    return [track(root / f"song{number}", **options) for number in range(count)]


def opened(root, targets=SOURCES, rate=RATE, **options):
    return open_data("folder", root, targets, rate, 2, options)


def read(data, source, index, start, samples):
    out = np.empty((samples, data.channels), np.float32)
    data.read_into(source, index, start, out)
    return out


def fails(root, *wanted, **options):
    with pytest.raises(UserError) as error:
        opened(root, **options)
    message = str(error.value)
    assert "\n" not in message
    for word in wanted:
        assert str(word) in message


def test_splits_and_order(tmp_path):
    tracks(tmp_path / "train", 2, files=("bass", "drums", "mixture", "piano"))
    tracks(tmp_path / "test", 1, files=("bass", "drums", "piano"))
    (tmp_path / "train" / ".unfinished").mkdir()
    (tmp_path / "train" / "notes.txt").write_text("x")
    train, valid = opened(tmp_path)
    assert train.names == ("song0", "song1") and valid.names == ("song0",)
    assert train.sources == valid.sources == ("drums", "bass", "piano")
    np.testing.assert_array_equal(train.mixing, [[1, 0, 0], [0, 1, 0]])
    assert train.integer and train.aligned and not train.skipped
    assert train.counts == [2, 2, 2] and train.track_lengths == [50, 50]
    wanted = soundfile.read(tmp_path / "train" / "song1" / "drums.wav", dtype="float32")[0]
    np.testing.assert_array_equal(read(train, 0, 1, 7, 20), wanted[7:27])
    assert train.mixtures and not valid.mixtures
    assert train.fingerprint() != valid.fingerprint()
    tracks(tmp_path / "valid", 3, files=("bass", "drums", "piano"))
    assert len(opened(tmp_path)[1].names) == 3, "valid goes before test"


@pytest.mark.parametrize(
    "targets, sources, mixing",
    [
        (("vocals",), "vocals bass drums", [[1, 0, 0]]),
        (("vocals", "accompaniment"), "vocals bass drums", [[1, 0, 0], [0, 1, 1]]),
        (("drums", "rest"), "drums bass vocals", [[1, 0, 0], [0, 1, 1]]),
        (("accompaniment",), "bass drums vocals", [[1, 1, 0]]),
    ],
)
def test_targets_that_are_sums_of_sources(tmp_path, targets, sources, mixing):
    tracks(tmp_path, 1, files=("vocals", "drums", "bass"))
    data, none = opened(tmp_path, targets)
    assert none is None
    assert data.sources == tuple(sources.split())
    np.testing.assert_array_equal(data.mixing, mixing)
    assert data.mixing.dtype == np.float32


def test_sources_can_be_named(tmp_path):
    tracks(tmp_path, 1, files=("vocals", "drums", "bass", "rehearsal"))
    for chosen in ("vocals, drums,bass", ("vocals", "drums", "bass")):
        data, _ = opened(tmp_path, ("bass",), sources=chosen)
        assert data.sources == ("bass", "vocals", "drums")


def test_unknown_target(tmp_path):
    tracks(tmp_path, 1, files=("vocals", "bass"))
    fails(tmp_path, "'piano'", "bass, vocals, rest, accompaniment", targets=("bass", "piano"))
    fails(tmp_path, "'rest'", "known: bass, vocals", targets=("bass", "vocals", "rest"))


def test_unknown_names_and_options_get_the_nearest(tmp_path):
    with pytest.raises(UserError, match="unknown data set 'foldr'; did you mean 'folder'"):
        open_data("foldr", tmp_path, SOURCES, RATE, 2, {})
    with pytest.raises(UserError, match="no option 'max_skiped'; did you mean 'max_skipped'"):
        opened(tmp_path, max_skiped=0.5)


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_has_documented_options(name):
    assert DATASETS[name].__doc__


def test_roots_without_data(tmp_path):
    fails("", "no data", "--config.data.root")
    fails(tmp_path / "nowhere", "nowhere", "not a folder")
    fails(tmp_path, tmp_path, "no tracks", "drums.wav")
    (tmp_path / "train").mkdir()
    fails(tmp_path, tmp_path / "train", "no tracks", "bass.wav")


def broken(folder, fault):
    """Damage one track and return what has to be said about it."""
    path = folder / "drums.wav"
    if fault == "missing":
        path.unlink()
        return "drums.wav: no such file"
    if fault == "rate":
        soundfile.write(path, noise(), 44100)
        return "drums.wav: sample rate 44100 Hz, wanted 8000 Hz"
    if fault == "channels":
        soundfile.write(path, noise(channels=3), RATE)
        return "drums.wav: 3 channels, wanted 2 or 1"
    if fault == "length":
        soundfile.write(path, noise(50 + RATE + 1), RATE)
        return "bass.wav: 0.01 s long, drums.wav 1.01 s; wanted stems of one length"
    if fault == "silence":
        for name in ("bass", "drums"):
            soundfile.write(folder / f"{name}.wav", np.zeros((0, 2)), RATE)
        return "holds no samples"
    if fault in ("PCM_16", "PCM_24", "FLOAT"):
        soundfile.write(path, noise(), RATE, subtype=fault)
        path.write_bytes(path.read_bytes()[:120])
        return "drums.wav: cut short; its header promises"
    if fault == "flac":
        path.unlink()
        path = path.with_suffix(".flac")
        soundfile.write(path, noise(20000), RATE)
        path.write_bytes(path.read_bytes()[:40000])
        soundfile.write(folder / "bass.wav", noise(20000), RATE)
        return "drums.flac: "
    path.write_bytes(fault)
    return "drums.wav: "


FAULTS = ["missing", "rate", "channels", "length", "silence", "PCM_16", "PCM_24", "FLOAT", "flac"]


@pytest.mark.parametrize("fault", [*FAULTS, b"", b"just words", b"RIFF\0\0\0\0WAVE"])
def test_bad_tracks_are_named_counted_and_left_out(tmp_path, capsys, fault):
    folders = tracks(tmp_path, 10)
    wanted = broken(folders[4], fault)
    data, _ = opened(tmp_path)
    ((name, why),) = data.skipped
    assert name == "song4" and wanted in why
    assert len(data.names) == 9 == len(data.clips[0]) and "song4" not in data.names
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"data: {tmp_path}: 1 of 10 tracks left out: song4 (")
    fails(tmp_path, "1 of 10 tracks", "max_skipped=0.05", wanted, max_skipped=0.05)


def test_many_bad_tracks_are_fatal_and_the_first_are_named(tmp_path):
    for folder in tracks(tmp_path, 10)[2:7]:
        (folder / "drums.wav").unlink()
    fails(tmp_path, "5 of 10 tracks", "song2 (", "song3 (", "song4 (", "and 2 more")
    data, _ = opened(tmp_path, max_skipped=0.5)
    assert len(data.skipped) == 5


def test_no_good_track_is_fatal_whatever_the_threshold(tmp_path):
    broken(tracks(tmp_path, 1)[0], "rate")
    fails(tmp_path, "1 of 1 tracks", "44100 Hz", max_skipped=1.0)


def test_small_differences_of_length_are_silence(tmp_path):
    folder = track(tmp_path / "song")
    soundfile.write(folder / "drums.wav", noise(50 + RATE), RATE)
    data, _ = opened(tmp_path)
    assert data.track_lengths == [50 + RATE] and not data.skipped
    assert not read(data, 1, 0, 50, 100).any()
