"""The tables of published models, and the commands that reproduce their scores."""

import re
import shlex

import numpy as np
import pytest
import scored_songs
from documentation import docs_module
from toy_models import toys  # noqa: F401

from pipelines.evaluation import command
from xumx_jax.weights import bag, catalogue, tasks
from xumx_jax.weights.published import PUBLISHED

published = docs_module("published")
COMMANDS = {row[0].strip("`"): row[1].strip("`") for row in published.reproduce()[1:]}
GIVEN = {name: line for name, line in COMMANDS.items() if line.startswith("xumx evaluate ")}


def kind(name):
    """The options of a model's command, without names of models, data sets and stems."""
    given = shlex.split(GIVEN[name])[2:]
    left_out = {name, f"scores/{name}", PUBLISHED[name].songs, *PUBLISHED[name].sources}
    return tuple(word for word in given if word not in left_out)


KINDS = {kind(name): name for name in reversed(GIVEN)}  # one model of each


def test_every_model_has_its_row():
    assert list(COMMANDS) == list(PUBLISHED)
    for name in set(COMMANDS) - set(GIVEN):
        assert COMMANDS[name].startswith("none: "), name
        assert catalogue.task_of(PUBLISHED[name]) != "4stems", name


@pytest.mark.parametrize("row", published.reproduce()[1:], ids=lambda row: row[0].strip("`"))
def test_scores_to_expect_are_those_of_the_zoo(row):
    name, _, expected, tolerance = (cell.strip("`") for cell in row)
    model = PUBLISHED[name]
    assert bool(tolerance) == (model.mean is not None)
    if tolerance:
        assert expected.endswith(f"mean {model.mean:.2f}")
        found = dict(re.findall(r"(\w+) ([\d.]+)", expected))
        assert set(found) == {*model.scores, "mean"}
        if model.scores:
            mean = np.mean([float(value) for key, value in found.items() if key != "mean"])
            assert mean == pytest.approx(model.mean, abs=0.011)


@pytest.mark.parametrize("name", GIVEN)
def test_commands_score_as_the_scores_were_made(name):
    options = command.parser().parse_args(shlex.split(GIVEN[name])[2:])
    command._check(options)
    assert options.model == [name] and options.root == PUBLISHED[name].songs
    metric = "usdr" if PUBLISHED[name].protocol == "whole songs" else "sdr"
    assert options.metrics == [metric]
    assert set(options.targets) <= {*PUBLISHED[name].sources, "accompaniment"}


def test_tasks_say_how_long_they_take():
    head, *rows = published.tasks()
    assert head == ("`--task`", "gives", "`fast`", "`good`", "`best`")
    found = {row[0].strip("`"): row[1:] for row in rows}
    assert list(found) == list(tasks.TASKS)
    assert found["4stems"][2] == "`htdemucs`, 30 s" and "min" in found["4stems"][3]
    assert found["karaoke"][1:] == ("by `--model` alone", "", "")


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """The layout of MUSDB18-HQ, with one short song, under the names that the commands have."""
    folder = tmp_path_factory.mktemp("songs")
    scored_songs.make(folder / "MUSDB18-HQ", names=("one",))
    (folder / "MUSDB18").symlink_to("MUSDB18-HQ")
    return folder


@pytest.mark.slow
@pytest.mark.usefixtures("toys", "quick_compile")
@pytest.mark.parametrize("name", KINDS.values())
def test_commands_run(name, songs, tmp_path, monkeypatch, capsys):
    """With a toy in the place of the download: stems are shares of the mixture."""
    monkeypatch.setenv("XUMX_CACHE", str(tmp_path))
    monkeypatch.setenv("JAX_ENABLE_COMPILATION_CACHE", "0")
    monkeypatch.chdir(tmp_path)
    for folder in songs.iterdir():
        (tmp_path / folder.name).symlink_to(folder)
    arguments = {"sources": PUBLISHED[name].sources, "sample_rate": scored_songs.RATE, "width": 1}
    count = len(arguments["sources"])
    variables = {"params": {"conv": {
        "kernel": np.full((1, 1, count), 1 / count, np.float32),
        "bias": np.zeros(count, np.float32),
    }}}  # fmt: skip
    bag.save_model(tmp_path / f"{name}.safetensors", "toy_wave", arguments, variables, {})
    assert command.main(shlex.split(GIVEN[name])[2:]) == 0
    out, err = capsys.readouterr()
    assert err == "" and (tmp_path / "scores" / name / "test" / "one.json").is_file()
    metric = "uSDR" if PUBLISHED[name].protocol == "whole songs" else "SDR"
    (line,) = re.findall(rf"^\| {name} +\|.*\|$", out.partition(f"### {metric}, ")[2], re.M)[:1]
    numbers = [float(cell) for cell in line.strip("|").split("|")[1:]]
    assert np.isfinite(numbers).all() and numbers


def test_there_is_a_run_of_each_kind():
    usual = ("--model", "--root", "--evaldir")
    more = [("usdr",), ("sdr",), ("sdr", "--targets"), ("sdr", "--targets", "accompaniment")]
    assert set(KINDS) == {(*usual, "--metrics", *options) for options in more}
