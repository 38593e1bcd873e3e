"""Adapters in a file: which weights they may be added to."""

import numpy as np
import pytest
from toy_models import ARGUMENTS, drawn, toys  # noqa: F401

from xumx_jax.errors import UserError
from xumx_jax.weights import adapters
from xumx_jax.weights.bag import save_model
from xumx_jax.weights.load import convert

pytestmark = pytest.mark.usefixtures("toys")


def saved(tmp_path, name: str = "toy_ragged", rows: int = 65, rank: int = 1, **args):
    """The file of a model of random weights, one of adapters of rank 1, and the weights."""
    variables = drawn("toy_ragged")[1]
    save_model(tmp_path / "base.safetensors", "toy_ragged", ARGUMENTS["toy_ragged"], variables)
    a, b = np.ones((rows, 1), np.float32), np.full((rank, 130), 2, np.float32)
    trained = {"adapters": {"dense_0": {"kernel": {"a": a, "b": b}}}, "full": {}}
    args = ARGUMENTS[name] | args
    adapters.write(tmp_path / "adapters.safetensors", trained, 0.5, {}, name, args)
    return tmp_path / "base.safetensors", tmp_path / "adapters.safetensors", variables["params"]


def test_they_are_added_to_the_weights(tmp_path):
    base, file, before = saved(tmp_path)
    now = convert(base, tmp_path / "sum.safetensors", adapters=file).only.variables["params"]
    np.testing.assert_allclose(now["dense_0"]["kernel"], before["dense_0"]["kernel"] + 1, rtol=1e-6)
    np.testing.assert_array_equal(now["dense_1"]["kernel"], before["dense_1"]["kernel"])


@pytest.mark.parametrize(
    "options, file, wanted",
    [
        ({"name": "toy_wave"}, None, "adapters of one model 'toy_wave', not of toy_ragged"),
        ({"sample_rate": 22050}, None, "of a model with sample_rate 22050, not 8000"),
        ({"rows": 3}, None, "adapters.safetensors: adapters of other arrays than"),
        ({"rows": 1}, None, "adapters.safetensors: adapters of other arrays than"),
        ({"rank": 2}, None, "adapters.safetensors: adapters of other arrays than"),
        ({}, "base.safetensors", "base.safetensors: holds no adapters; wanted the adapters"),
        ({}, "none.safetensors", "none.safetensors: no such file; wanted the adapters"),
    ],
)
def test_others_are_refused_in_one_line(tmp_path, options, file, wanted):
    base, made, _ = saved(tmp_path, **options)
    with pytest.raises(UserError) as error:
        convert(base, tmp_path / "sum.safetensors", adapters=tmp_path / file if file else made)
    assert wanted in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "sum.safetensors").exists()
