"""Every model and two toys through the doors of weights: shapes, a name map, files of ours."""

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file
from toy_models import ARGUMENTS, NAMES, toys  # noqa: F401

from xumx_jax.models import build
from xumx_jax.models.interface import variable_shapes
from xumx_jax.weights import converters
from xumx_jax.weights.bag import save_model
from xumx_jax.weights.converters.kinds import Kind
from xumx_jax.weights.converters.rules import Rule
from xumx_jax.weights.load import load_module

pytestmark = pytest.mark.usefixtures("toys")


@pytest.mark.parametrize("name", NAMES)
def test_shapes_are_those_of_a_fresh_model(name):
    found = converters.shapes(name, ARGUMENTS[name])
    wanted = variable_shapes(build(name, **ARGUMENTS[name]))
    assert jax.tree.map(lambda x: x.shape, found) == jax.tree.map(lambda x: x.shape, wanted)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("target", ["model", "model.safetensors"])
def test_what_is_saved_is_loaded(name, target, tmp_path):
    rng = np.random.default_rng(0)
    variables = jax.tree.map(
        lambda x: rng.standard_normal(x.shape).astype(np.float32),
        variable_shapes(build(name, **ARGUMENTS[name])),
    )
    save_model(tmp_path / target, name, ARGUMENTS[name], variables)
    module, found, info = load_module(tmp_path / target)
    assert module == build(name, **ARGUMENTS[name]) and info["model"] == name
    jax.tree.map(np.testing.assert_array_equal, found, variables)


def test_a_kind_of_weights_is_a_name_map(monkeypatch, tmp_path):
    """A convolution as PyTorch has it, [output, input, tap], to [tap, input, output]."""
    kind = Kind(
        model="toy_wave",
        anchor=r"()conv\.weight",
        arguments=lambda tensors, info: {"width": tensors["conv.weight"].shape[-1]},
        rules=lambda arguments: [
            Rule("params/conv/kernel", "conv.weight", lambda weight: weight.transpose(2, 1, 0)),
            Rule("params/conv/bias", "conv.bias"),
        ],
    )
    monkeypatch.setitem(converters.KINDS, "toy", kind)
    weight = np.arange(10, dtype=np.float32).reshape(2, 1, 5)
    tensors = {"conv.weight": weight, "conv.bias": np.zeros(2, np.float32)}
    save_file(tensors, tmp_path / "theirs.safetensors")
    module, variables, info = load_module(tmp_path / "theirs.safetensors")
    assert (module.width, info["kind"]) == (5, "toy")
    np.testing.assert_array_equal(variables["params"]["conv"]["kernel"][:, 0, 1], weight[1, 0])
