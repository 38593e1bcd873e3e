"""What a model's file says of chunks is used where nothing else is asked for."""

import pytest
from toy_models import drawn, toys  # noqa: F401

from xumx_jax.separation.recommended import recommended, seconds_of
from xumx_jax.separation.separator import separator_of
from xumx_jax.weights.bag import Member, bag

SAID = {"separation": {"chunk_size": 2048, "num_overlap": 4}}


def made(count=1, **options):
    _, variables = drawn("toy_wave")
    return separator_of(bag([Member("toy_wave", {}, variables, SAID)] * count), **options)


@pytest.mark.parametrize(
    ("options", "length", "step"),
    [
        ({}, 2048, 1536),  # our own overlap
        ({"protocol": "msst"}, 2048, 512),
        ({"protocol": "msst", "overlap": 0.5}, 2048, 1024),
        ({"protocol": "demucs"}, 2048, 1536),
        ({"chunk_seconds": 0.128}, 1024, 768),
    ],
)
def test_plans(toys, options, length, step):  # noqa: F811
    plan = made(**options).engine.plan
    assert (plan.length, plan.step) == (length, step)


def test_each_model_of_a_bag_has_its_own(toys):  # noqa: F811
    found = made(2, protocol="msst").separators
    assert [(one.engine.plan.length, one.engine.plan.step) for one in found] == [(2048, 512)] * 2


def test_nothing_is_recommended_by_most_files(toys):  # noqa: F811
    model, _ = drawn("toy_wave")
    assert recommended({"overlap": None}, {"kind": "x"}, model) == {"overlap": None}


def test_seconds_give_the_samples_again():
    for rate in (8000, 44100, 48000):
        assert all(int(seconds_of(n, rate) * rate) == n for n in range(1, 500_000, 997))
