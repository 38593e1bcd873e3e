"""When a run may resume with another config: what it uses has to be the same, and nothing else."""

import copy

import pytest
import runs

from configs import common
from xumx_jax.training.identity import Defaults, differences

DEFAULTS = common.defaults("xumx")


def changed(**values) -> dict:
    """A config with values at "a.b" replaced, "absent" ones left out; as a checkpoint keeps it."""
    made = copy.deepcopy(runs.config().to_dict())
    for key, value in values.items():
        *path, last = key.split(".")
        place = made
        for name in path:
            place = place.setdefault(name, {})
        if value == "absent":
            place.pop(last)
        else:
            place[last] = value
    return made


def lines(theirs: dict, ours: dict | None = None, defaults=DEFAULTS) -> list[str]:
    return differences(changed(**theirs), changed(**(ours or {})), defaults)


@pytest.mark.parametrize(
    "theirs",
    [
        {"loss.mse": "absent"},  # a loss that is not chosen
        {"loss.segment_sdr.frames": 44, "loss.retired": {"sharpness": 3}},
        {"loss.multi_domain.combinations": "absent"},  # as it was before there was
        {"data.records": "absent", "data.generated.engine": "sampled"},
        {"model.args.activation": "absent", "model.args.bridge": "absent"},
        {"recipe.swap": "absent", "train.average": "absent", "optimizer.accumulate": "absent"},
        {"train.epochs": 7, "train.keep": 5, "quiet": True, "log.pictures_every": 3},
        {"data.root": "elsewhere", "data.workers": 9, "train.weights": "x-umx"},
        {"model.args.sources": ["bass", "drums", "vocals", "other"]},  # as JSON has it
    ],
)
def test_what_a_run_does_not_use_may_differ(theirs):
    chosen = {"data.name": "folder"}
    assert lines(theirs | chosen, chosen) == []
    assert lines(chosen, chosen | {k: v for k, v in theirs.items() if v != "absent"}) == []


@pytest.mark.parametrize(
    "theirs, ours, wanted",
    [
        ({"loss.multi_domain.mcoef": 1.0}, {}, "loss.multi_domain.mcoef was 1.0, now 10.0"),
        ({"loss.name": "mse"}, {}, "loss.name was 'mse', now 'multi_domain'"),
        ({"loss.multi_domain.trim": "absent"}, {"loss.multi_domain.trim": 3}, "was 200, now 3"),
        ({"data.name": "musdb"}, {"data.name": "records"}, "data.name was 'musdb', now 'records'"),
        ({"model.args.dropout": 0.1}, {}, "model.args.dropout was 0.1, now 0.4"),
        ({"model.args.power": "absent"}, {"model.args.power": 2}, "args.power was 1, now 2"),
        ({"recipe.swap": 0.1}, {}, "recipe.swap was 0.1, now None"),
        ({"export": {"hop": 3}}, {}, "export.hop was 3, now None"),
        ({"augment": [["speed", {}]]}, {}, "augment was [['speed', {}]], now []"),
        ({}, {"augment": [["speed", {}]]}, "augment was [], now [['speed', {}]]"),
        ({"train.batch_size": "absent"}, {}, "train.batch_size was 16, now 4"),
    ],
)
def test_what_it_uses_may_not(theirs, ours, wanted):
    (line,) = lines(theirs, ours)
    assert wanted in line


def test_options_of_the_data_set_that_is_used():
    chosen = {"data.name": "musdb"}
    assert lines(chosen | {"data.musdb.is_wav": True}, chosen) == [
        "data.musdb.is_wav was True, now None"
    ]
    assert lines(chosen | {"data.musdb.cache": "elsewhere"}, chosen) == []
    assert lines({"data.musdb.is_wav": True}) != []  # auto: it may be the one


def test_the_rate_of_a_schedule_follows_the_epochs():
    cosine = {"optimizer.schedule": "cosine"}
    (line,) = lines(cosine | {"train.epochs": 7}, cosine)
    assert line == "train.epochs was 7, now 3"


def test_a_part_at_its_default_is_none():
    """A part that earlier configs do not have at all."""
    grown = Defaults(DEFAULTS.values | {"phases": ()}, DEFAULTS.free)
    assert lines({}, {"phases": ()}, grown) == []
    assert lines({}, {"phases": ((9, {}),)}, grown) == ["phases was [], now [[9, {}]]"]
    assert lines({"augment": "absent"}, {"augment": ()}) == []


def test_free_options_are_options():
    for name in common.FREE:
        assert any(key == name or key.startswith(f"{name}.") for key in DEFAULTS.values), name
