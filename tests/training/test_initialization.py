"""Weights to begin with, of other sources than those that are trained."""

import jax
import numpy as np
import pytest
from toy_models import ARGUMENTS, drawn, made

from xumx_jax.models import MODELS, interface
from xumx_jax.models.interface import variable_shapes
from xumx_jax.training.initialization import adopted
from xumx_jax.weights.bag import save_model

TWO = {"sources": ("high", "low")}
WITH_OUTPUTS = [
    name for name in MODELS if interface.optional(made(name), "source_outputs")
]  # fmt: skip


@pytest.fixture
def saved(tmp_path):
    """`saved(name)`: the file of a tiny model for "high" and "low", and its variables."""

    def save(name):
        variables = drawn(name, **TWO)[1]
        save_model(tmp_path / "it.safetensors", name, ARGUMENTS[name] | TWO, variables)
        return str(tmp_path / "it.safetensors"), variables

    return save


def zeros(model) -> dict:
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), variable_shapes(model))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["demucs", "rel_tdemucs", "hdemucs", "bs_roformer", "scnet", "mdx23c", "mdxnet"]
)
@pytest.mark.usefixtures("quick_compile")
def test_sources_in_another_order_are_the_same_stems(saved, name):
    """Whatever the layout of the last layer is; the other families have one of these."""
    path, theirs = saved(name)
    model = made(name, sources=("low", "high"))
    ours = adopted(path, model, zeros(model), lambda _: None)
    shape = interface.example_mix(model).shape
    mix = np.random.default_rng(1).normal(0, 0.1, shape).astype(np.float32)
    apply = jax.jit(lambda variables: model.apply(variables, mix).wave)
    np.testing.assert_allclose(apply(ours), apply(theirs)[:, ::-1], atol=1e-5)


@pytest.mark.parametrize("name", WITH_OUTPUTS)
def test_sources_of_the_same_name_are_taken_and_others_stay_as_drawn(saved, name):
    path, theirs = saved(name)
    model, lines = made(name, sources=("middle", "low", "bells")), []
    ours = adopted(path, model, zeros(model), lines.append)
    wanted = "it.safetensors: outputs of low taken; middle, bells drawn anew; high left out"
    assert len(lines) == 1 and lines[0].endswith(wanted)
    pairs = [jax.tree.leaves(tree) for tree in (ours, theirs)]
    changed = [(one, other) for one, other in zip(*pairs, strict=True) if one.shape != other.shape]
    assert changed
    for one, other in changed:
        (axis,) = (n for n in range(one.ndim) if one.shape[n] != other.shape[n])
        middle, low, bells = np.split(one, 3, axis)
        assert not middle.any() and not bells.any()
        np.testing.assert_array_equal(low, np.split(other, 2, axis)[1])
    kept = [(one, other) for one, other in zip(*pairs, strict=True) if one.shape == other.shape]
    assert all(np.array_equal(one, other) for one, other in kept)
