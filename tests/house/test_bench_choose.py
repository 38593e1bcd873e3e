"""`bench/choose.py` and `bench/whole_songs.py`: which weights are tried, whose mean decides."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from xumx_jax.errors import UserError

BENCH = Path(__file__).parents[2] / "bench"
RATE = 8000


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(BENCH)
    yield importlib.import_module
    for name in ("choose", "whole_songs"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    "name, source",
    [
        ("6.Song_Stem_ALT HATS_mobile", "drums"), ("KICK", "drums"), ("MAIN DRUMS", "drums"),
        ("GARAGE_BEAT", "drums"), ("BGVOX HARMONY", "vocals"), ("VOX LEAD", "vocals"),
        ("SY BASS", "bass"), ("bass", "bass"), ("SUB DROP", "bass"), ("other", "other"),
        ("WHATEVER SYNTH", "other"), ("CHATTER", "other"), ("vocals", "vocals"),
    ],
)  # fmt: skip
def test_files_are_grouped_by_their_names(bench, name, source):
    assert bench("whole_songs").source_of(name) == source


def stem(folder: Path, name: str, value: float, seconds: float, channels: int = 1) -> None:
    folder.mkdir(exist_ok=True)
    wave = np.full((round(seconds * RATE), channels), float(value))
    soundfile.write(folder / f"{name}.wav", wave, RATE, subtype="FLOAT")


def test_halves_of_a_song_are_sums_of_its_stems(bench, tmp_path):
    song = tmp_path / "tune"
    for name, value, seconds in (
        ("VOX LEAD", 0.25, 5), ("BGVOX", 0.5, 2), ("HATS", 0.125, 5), ("PAD", 0, 5),
        ("Master", 0.9, 5), ("mixture", 0.9, 5),
    ):  # fmt: skip
        stem(song, name, value, seconds, channels=1 + (name == "HATS"))
    songs = bench("whole_songs")
    for half, samples, first in ((songs.HALVES[0], 2 * RATE, 0.75), (songs.HALVES[1], 24000, 0.25)):
        root, sources = songs.write(song, tmp_path / "data", half)
        assert sources == ("vocals", "drums")  # nothing else sounds
        place = root / "test" / f"tune, {half}"
        assert sorted(path.name for path in place.iterdir()) == ["drums.wav", "vocals.wav"]
        wave, rate = soundfile.read(place / "vocals.wav")
        assert rate == RATE and wave.shape == (samples, 2) and (wave == first).all()
    before = (place / "drums.wav").stat().st_mtime_ns
    assert songs.write(song, tmp_path / "data", half) == (root, sources)
    assert (place / "drums.wav").stat().st_mtime_ns == before


def test_a_folder_without_a_song_is_refused(bench, tmp_path):
    stem(tmp_path / "one", "VOX", 0.5, 1)
    with pytest.raises(UserError, match="one: wanted the stems of a song, of at least two"):
        bench("whole_songs").write(tmp_path / "one", tmp_path / "data")
    assert not (tmp_path / "data" / "test" / "one").exists()


def test_a_run_stands_for_its_checkpoints(bench, tmp_path):
    choose = bench("choose")
    for name in ("checkpoints/00000010", "checkpoints/00000020", "best"):
        (tmp_path / "run" / name).mkdir(parents=True)
    weights = tmp_path / "half.v2.safetensors"
    weights.touch()
    found = choose.candidates([tmp_path / "run", weights])
    assert list(found) == ["run-00000010", "run-00000020", "run-best", "half_v2"]
    with pytest.raises(UserError, match="none: wanted weights, a checkpoint, or a run"):
        choose.candidates([tmp_path / "none"])
    with pytest.raises(UserError, match="a second 'half_v2'"):
        choose.candidates([weights, weights])


def test_the_mean_over_data_sets_decides(bench):
    choose = bench("choose")
    targets = {source: {"SDR": {"median": db}} for source, db in (("vocals", 2.0), ("drums", 5.0))}
    assert choose.means(targets, ("vocals", "drums")) == {"vocals": 2, "drums": 5, "mean": 3.5}
    scores = {
        "songs": {"a": {"mean": 6.0}, "b": {"mean": 5.0}},
        "first half": {"a": {"mean": 1.0}, "b": {"mean": 4.0}},
    }
    total, winner = choose.best(scores)
    assert (total, winner) == ({"a": 3.5, "b": 4.5}, "b")
    assert choose.table(scores, total).splitlines()[2] == "| b | 5.00 | 4.00 | 4.50 |"


def test_without_songs_there_is_nothing_to_choose_by(bench, tmp_path):
    with pytest.raises(UserError, match="use --songs, --song, or both"):
        bench("choose").main([str(tmp_path)])


def test_candidates_are_scored_by_the_program(bench, tmp_path, capsys):
    """Two baselines stand for weights: a separation by rules is better than the mixture."""
    choose = bench("choose")
    for name, hz in (("vocals", 900), ("bass", 80)):
        folder = tmp_path / "songs" / "test" / "one"
        folder.mkdir(parents=True, exist_ok=True)
        wave = 0.3 * np.sin(2 * np.pi * hz * np.arange(2 * RATE) / RATE)
        soundfile.write(folder / f"{name}.wav", np.stack([wave, wave], 1), RATE)
    found = choose.evaluate(
        {"rules": Path("hand-set"), "share": Path("mixture-share")},
        tmp_path / "songs", "test", ("vocals", "bass"), tmp_path / "scores",
    )  # fmt: skip
    assert found["rules"]["mean"] > found["share"]["mean"]
    assert choose.best({"songs": found})[1] == "rules"
