"""The search of sliCQ parameters: who chooses, what is kept, what is refused."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import scored_songs
from PIL import Image

from pipelines.slicq_search import command, report, results, space, work
from pipelines.slicq_search.results import Row
from pipelines.slicq_search.space import SAMPLERS, Candidate, Space, parse
from xumx_jax.errors import UserError
from xumx_jax.evaluation import mix_phase
from xumx_jax.transforms.slicq import SliCQ

pytestmark = pytest.mark.usefixtures("quick_compile")

RATE = scored_songs.RATE
SMALL = Space(bins=(8, 24), low_hz=(200.0, 400.0), gamma_hz=(0.0, 50.0), max_slice=1500)
OPTIONS = ["--bins", "8", "24", "--low-hz", "200", "400", "--gamma-hz", "0", "50"]
OPTIONS += ["--max-slice", "1500", "--subset", "test"]


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """`run(*arguments) -> (status, stdout, stderr)`, of two tracks of noise."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "PUBLISHED", "bark:12:300")
    scored_songs.make(tmp_path / "songs", ("one", "two"), samples=3000, mixture=False)

    def start(*arguments):
        words = ["--root", "songs", *OPTIONS, *map(str, arguments)]
        return command.main(words), *capsys.readouterr()

    return start


def rows_of(folder="slicq-search"):
    lines = [json.loads(line) for line in Path(folder, command.RESULTS).read_text().splitlines()]
    return lines[0]["settings"], [Row(**line) for line in lines[1:]]


def plain_rows(found):
    """What does not depend on the clock."""
    return [{**vars(row), "seconds": 0, "compile_seconds": 0} for row in found]


@pytest.mark.slow
def test_a_search_is_the_same_in_one_go_and_in_two(run, tmp_path):
    status, out, err = run("--trials", 3, "--also", "mel:10:250", "--out", "whole")
    assert (status, err) == (0, "")
    _, whole = rows_of("whole")
    assert [row.number for row in whole] == [*[None] * 4, 0, 1, 2]
    assert run("--trials", 1, "--also", "mel:10:250", "--out", "parts")[0] == 0
    assert len(rows_of("parts")[1]) == 5
    assert run("--trials", 3, "--also", "mel:10:250", "--out", "parts")[0] == 0
    assert plain_rows(rows_of("parts")[1]) == plain_rows(whole)

    lines = out.splitlines()
    assert lines[0].split()[:2] == ["transform", "slice"] and len(lines) == 9
    scores = [float(line.split()[-5]) for line in lines[1:-1]]
    assert scores == sorted(scores, reverse=True)
    with open("whole/table.csv") as file:
        table = list(csv.DictReader(file))
    assert [float(row["score"]) for row in table] == sorted(
        (row.score for row in whole), reverse=True
    )
    with Image.open("whole/scores.png") as image:
        assert image.format == "PNG"
    assert {path.name for path in (tmp_path / "whole").iterdir()} == {
        *(command.RESULTS, command.TABLE, command.PICTURE)
    }


@pytest.mark.slow
def test_scores_are_those_of_the_oracle(run, tmp_path):
    import soundfile

    run("--trials", 1, "--rule", "original", "--targets", "drums", "vocals")
    settings, found = rows_of()
    assert settings["targets"] == ["drums", "vocals"] and settings["rule"] == "original"
    row = found[-1]
    plan = SliCQ(**row.parameters, sample_rate=RATE, rule="original")
    assert (row.slice, row.bands) == (plan.length, plan.bands)
    oracle, scores = mix_phase.of_slicq(plan), []
    for track in ("one", "two"):
        files = [f"songs/test/{track}/{name}.wav" for name in ("drums", "vocals", "bass", "other")]
        waves = np.stack([soundfile.read(file, dtype="float32")[0].T for file in files])
        scores.append(mix_phase.sdr(oracle, waves)[:2])
    each = np.mean(scores, axis=0)
    np.testing.assert_allclose(list(row.targets.values()), each, rtol=1e-6)
    np.testing.assert_allclose(row.score, each.mean(), rtol=1e-6)


@pytest.mark.slow
def test_several_processes_find_the_same(run):
    assert run("--trials", 2, "--out", "one")[0] == 0
    assert run("--trials", 2, "--out", "two", "--jobs", 2)[0] == 0
    one, two = (sorted(plain_rows(rows_of(o)[1]), key=lambda r: r["name"]) for o in ("one", "two"))
    for ours, theirs in zip(one, two, strict=True):
        np.testing.assert_allclose(ours.pop("score"), theirs.pop("score"), rtol=1e-5)
        targets = [list(row.pop("targets").values()) for row in (ours, theirs)]
        np.testing.assert_allclose(*targets, rtol=1e-5)
        assert ours == theirs


def a_row(number, score, **parameters):
    chosen = {"scale": "bark", "bins": 12, "low_hz": 300.0, "gamma_hz": 0.0} | parameters
    name = str(Candidate(**chosen))
    return Row(name, number, chosen, 1000, 14, 2.1, score, {"drums": score})


def test_results_go_on_and_refuse_other_settings(tmp_path):
    path, settings = tmp_path / "trials.jsonl", {"seed": 1, "targets": ("drums",)}
    found = results.opened(path, settings)
    assert not found.rows
    found.add(a_row(0, 5.0))
    found.add(a_row(None, 4.0))
    again = results.opened(path, settings)
    assert again.rows == found.rows and list(again.trials()) == [0]
    with pytest.raises(UserError, match="holds a search with seed 1, not 2; use another --out"):
        results.opened(path, settings | {"seed": 2})
    for text in ("", "[]", "{}", "no JSON", '{"settings": {}}\n{"name": "x"}'):
        path.write_text(text)
        with pytest.raises(UserError, match="does not hold the results of a search"):
            results.opened(path, settings)


@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers_stay_within_the_space(name):
    if name == "optuna":
        pytest.importorskip("optuna", reason="wanted: pip install '.[search]'")
    chosen = []
    for _ in range(2):
        sampler = SAMPLERS[name](SMALL, RATE, 1, False)
        found = [sampler.propose(number) for number in range(12)]
        for number, candidate in enumerate(found):
            sampler.learn(number, candidate, float(number))
        sampler.learn(99, found[0], 1.0)  # of an earlier run
        chosen.append(found)
    assert chosen[0] == chosen[1] and len(set(chosen[0])) > 8
    for candidate in chosen[0]:
        assert candidate.scale in SMALL.scales and 8 <= candidate.bins <= 24
        assert 200 <= candidate.low_hz <= 400 and 0 <= candidate.gamma_hz <= 50
        assert candidate.scale == "vqlog" or candidate.gamma_hz == 0
        assert np.isclose(candidate.low_hz * 10 % 1, (0, 1), atol=1e-6).any()
        assert candidate.transform(RATE).length <= SMALL.max_slice


def test_chance_draws_each_trial_for_itself():
    sampler = SAMPLERS["random"](SMALL, RATE, 7, False)
    assert sampler.propose(5) == SAMPLERS["random"](SMALL, RATE, 7, True).propose(5)
    assert sampler.propose(5) != SAMPLERS["random"](SMALL, RATE, 8, False).propose(5)


def test_an_empty_space_is_an_error(monkeypatch):
    monkeypatch.setattr(space, "TRIES", 5)
    empty = Space(("bark",), (200, 299), (10.0, 20.0), max_slice=64)
    with pytest.raises(UserError, match="has slices of at most 64 samples"):
        SAMPLERS["random"](empty, RATE, 0, False).propose(0)


def test_without_optuna(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    status, _, err = run("--sampler", "optuna")
    assert status == 2 and "--sampler optuna needs Optuna" in err and err.count("\n") == 1


def test_the_ranges_are_the_originals():
    whole = Space()
    assert whole.scales == ("bark", "mel", "cqlog", "vqlog") and whole.max_slice == 44100
    assert (whole.bins, whole.low_hz, whole.gamma_hz) == ((10, 299), (10.0, 130.0), (0.0, 100.0))
    usual, options = SliCQ(), command.parser().parse_args([])
    assert parse(command.PUBLISHED) == Candidate(usual.scale, usual.bins, usual.low_hz)
    assert (options.trials, options.seed, options.subset) == (60, 42, "valid")


def test_candidates_are_written_as_they_are_parsed():
    assert str(parse("vqlog:48:300:25")) == "vqlog 48, 300 + 25 Hz"
    for text in ("bark", "erb:1:2", "bark:x:2", "bark:1:30", "bark:20:30:4", "vqlog:20:1:2:3"):
        with pytest.raises(UserError, match=text):
            parse(text)


@pytest.mark.parametrize(
    "arguments, wanted",
    [
        (["--trials", "0"], "--trials is 0; wanted 1 or more"),
        (["--jobs", "0"], "--jobs is 0"),
        (["--seed", "-1"], "--seed is -1"),
        (["--bins", "9", "8"], "--bins 9 8: wanted the least, then the most"),
        (["--low-hz", "nan", "8"], "--low-hz nan 8.0"),
        (["--scales", "erb"], "unknown scale 'erb'; known: bark, mel"),
        (["--also", "bark:1"], "'bark:1': wanted SCALE:BINS:HZ"),
        (["--also", "bark:20:9000"], "--also bark 20, 9000 Hz at 8000 Hz"),
        (["--targets", "piano"], "unknown target 'piano'"),
        (["--track", "three"], "unknown track 'three'"),
        (["--subset", "train"], "unknown subset 'train'"),
        (["--root", "nowhere"], "nowhere: no such folder"),
        (["--out", "songs/test/one/bass.wav"], "bass.wav is not a folder"),
        (["--dataset-option", "a=1"], "use --dataset as well"),
        (["--sampler", "grid"], "--sampler"),
    ],
)
def test_what_cannot_be(run, arguments, wanted):
    status, out, err = run(*arguments)
    assert status == 2 and not out
    assert err.startswith("slicq_search: error: ") and err.count("\n") == 1 and wanted in err


def test_data_are_wanted(capsys):
    assert command.main([]) == 2
    assert "no data; use --root" in capsys.readouterr().err


def test_other_settings_are_refused_before_anything_is_computed(run, tmp_path):
    settings = {"tracks": {}, "seed": 41}
    results.Results(tmp_path / "slicq-search" / command.RESULTS, settings).add(a_row(0, 1.0))
    status, _, err = run()
    assert status == 2 and "holds a search with tracks {}, not {" in err


def test_a_stopped_search_goes_on(run, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(work, "measure", interrupt)
    status, _, err = run()
    assert status == 130
    assert err == "slicq_search: error: the same command goes on; interrupted\n"


def test_a_dead_process_is_one_line(run, monkeypatch):
    from concurrent.futures import Future
    from concurrent.futures.process import BrokenProcessPool

    def die(self, *arguments):
        future = Future()
        future.set_exception(BrokenProcessPool())
        return future

    monkeypatch.setattr(work.Pool, "submit", die)
    status, _, err = run()
    assert status == 2 and "a process of the search has died" in err


def test_table():
    rows = [a_row(0, 1.0, bins=11), a_row(1, 3.0, bins=13), a_row(None, 2.0), a_row(2, 0.5)]
    lines = report.table(rows, ["drums"], shown=2).splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["1", "-", "2"]
    assert lines[1].split()[1:4] == ["bark", "13,", "300"]
    assert report.best(rows) == rows[1] and report.best(rows[2:3]) is None
    assert report.picture(rows, 44100) == report.picture(rows, 44100)
    assert report.picture(rows[2:3], 44100).startswith(b"\x89PNG")
