"""What `--stems`, `--two-stems` and `--mix` write."""

import numpy as np
import pytest

from xumx_jax.commands.stems import choose, heard, make, null_error_db
from xumx_jax.errors import UserError

SOURCES = ("bass", "drums", "vocals")
MIX = np.float32([[7, 0], [0, 7]])
SEPARATED = {name: np.full((2, 2), level, np.float32) for level, name in enumerate(SOURCES, 1)}


@pytest.mark.parametrize(
    ("options", "levels"),
    [
        ({}, {"bass": 1, "drums": 2, "vocals": 3}),
        ({"stems": "vocals, bass,vocals"}, {"vocals": 3, "bass": 1}),
        ({"mix": "drums+bass"}, {"drums+bass": 3}),
        ({"mix": "drums"}, {"drums": 2}),
        ({"two_stems": "drums"}, {"drums": 2, "rest": MIX - 2}),
    ],
)
def test_choices(options, levels):
    made = make(choose(SOURCES, **options), SEPARATED, MIX)
    assert list(made) == list(levels)
    for name, level in levels.items():
        np.testing.assert_array_equal(made[name], np.broadcast_to(level, (2, 2)))
        assert made[name].dtype == np.float32


@pytest.mark.parametrize("options", [{"stems": "a"}, {"mix": "bass+a"}, {"two_stems": "a"}])
def test_unknown_stems(options):
    with pytest.raises(UserError, match="unknown stem 'a'; the model has bass, drums, vocals"):
        choose(SOURCES, **options)


def test_two_choices_are_one_too_many():
    with pytest.raises(UserError, match="only one of"):
        choose(SOURCES, stems="bass", mix="bass")


def test_null_error():
    mix = heard(np.float32([[1, np.nan], [1, np.inf], [5, 5]]), 2)
    assert mix.tolist() == [[1, 0], [1, 0]]
    assert null_error_db(mix, {"a": mix * 0.9}) == pytest.approx(-20, abs=1e-3)
    assert null_error_db(mix, {"a": mix}) == -200
    assert null_error_db(mix * 0, {"a": mix}) is None
