"""`evaluate.py --task`: the model that a wish names, scored on what it is for."""

import pytest

from pipelines.evaluation import command
from xumx_jax.weights.tasks import TASKS

USUAL = ["--root", "MUSDB18", "--evaldir", "scores"]


def checked(*words):
    options = command.parser().parse_args([*USUAL, *words])
    command._check(options)
    return options.model, options.targets


def test_the_task_names_the_model_and_the_targets():
    best = TASKS["vocals"].models["best"]
    assert checked("--task", "vocals", "--quality", "best") == (
        [best],
        ["vocals", "accompaniment"],
    )
    assert checked("--task", "vocals", "--quality", "best", "--targets", "vocals")[1] == ["vocals"]
    assert checked("--quality", "fast") == ([TASKS["4stems"].models["fast"]], [])
    assert checked("--model", "demo") == (["demo"], [])


@pytest.mark.parametrize(
    "words, said",
    [
        (("--task", "drums"), "--task drums: there are no weights with a licence"),
        (("--quality", "best", "--model", "demo"), "--model names the model itself; leave out"),
        (("--task", "4stems", "--estimates", "x"), "--model and --estimates cannot be combined"),
    ],
)
def test_wishes_that_cannot_be_granted(words, said, capsys):
    assert command.main([*USUAL, *words]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1
