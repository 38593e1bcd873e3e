"""Name maps: filled completely or refused, by small examples."""

import jax
import numpy as np
import pytest

from xumx_jax.errors import UserError
from xumx_jax.weights.converters.rules import Rule, apply

RULES = (
    Rule("params/dense/kernel", "{source}.weight", np.transpose),
    Rule("params/layer_{layer}/bias", ("{source}.a{layer}", "{source}.b{layer}"), np.add),
    Rule("params/gain", "gains", np.ravel),
)


def shapes():
    tree = {
        "dense": {"kernel": (2, 3, 4)},
        "layer_0": {"bias": (2, 5)},
        "layer_1": {"bias": (2, 5)},
    }
    tree["gain"] = (2,)
    is_shape = {"is_leaf": lambda node: isinstance(node, tuple)}
    as_struct = jax.tree.map(lambda s: jax.ShapeDtypeStruct(s, np.float32), tree, **is_shape)
    return {"params": as_struct}


def tensors():
    found = {"gains": np.array([[7.0, 8.0]])}
    for number, source in enumerate("xy"):
        found[f"{source}.weight"] = np.full((4, 3), number)
        for layer in range(2):
            found[f"{source}.a{layer}"] = np.full(5, 10 * number + layer)
            found[f"{source}.b{layer}"] = np.full(5, 100.0)
    return found


def run(found, **options):
    return apply(RULES, found, shapes(), sources="xy", layers=2, **options)["params"]


def test_sources_are_stacked_and_layers_expanded():
    params = run(tensors())
    assert params["dense"]["kernel"].shape == (2, 3, 4)
    np.testing.assert_array_equal(params["dense"]["kernel"][:, 0, 0], [0, 1])
    np.testing.assert_array_equal(params["layer_0"]["bias"][:, 0], [100, 110])
    np.testing.assert_array_equal(params["layer_1"]["bias"][:, 0], [101, 111])
    np.testing.assert_array_equal(params["gain"], [7, 8])
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {np.dtype(np.float32)}


def test_missing_tensor_is_named_with_what_it_is_for():
    found = tensors()
    del found["y.b1"]
    with pytest.raises(UserError, match=r"tensor y\.b1 is missing; .* params/layer_1/bias \(5,\)"):
        run(found)


def test_wrong_shape_is_named_with_both_shapes():
    found = tensors() | {"y.weight": np.zeros((4, 2))}
    with pytest.raises(UserError, match=r"y\.weight \(4, 2\) gives .* \(2, 4\), wanted \(3, 4\)"):
        run(found)


def test_shapes_that_cannot_be_converted_are_named():
    found = tensors() | {"x.a0": np.zeros(4)}
    with pytest.raises(UserError, match=r"x\.a0 \(4,\) \+ x\.b0 \(5,\) cannot be .* wanted \(5,\)"):
        run(found)


def test_of_many_tensors_the_one_that_differs_is_named():
    names = [f"layers.{layer}.weight" for layer in range(40)]
    rules = [Rule("params/kernel", tuple(names), lambda *parts: np.stack(parts))]
    shapes = {"params": {"kernel": jax.ShapeDtypeStruct((40, 3, 2), np.float32)}}
    found = {name: np.zeros((3, 2)) for name in names} | {"layers.7.weight": np.zeros((3, 4))}
    odd = r"tensor layers\.7\.weight \(3, 4\) \(and 39 more of \(3, 2\)\) cannot be params/kernel"
    with pytest.raises(UserError, match=odd):
        apply(rules, found, shapes)
    found = {name: np.zeros((3, 4)) for name in names}
    first = r"layers\.0\.weight \(3, 4\) \+ layers\.1\.weight \(3, 4\) \(and 38 more\) gives"
    with pytest.raises(UserError, match=first):
        apply(rules, found, shapes)


def test_unexpected_tensor_is_named_unless_ignored():
    found = tensors() | {"x.window": np.zeros(3), "y.window": np.zeros(3)}
    with pytest.raises(UserError, match=r"unexpected tensor x\.window \(3,\) \(and 1 more\)"):
        run(found)
    run(found, ignore=("*.window",))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(value):
    found = tensors()
    found["x.a1"][2:] = 0
    found["x.a1"] = np.where(np.arange(5) == 2, value, found["x.a1"])
    with pytest.raises(UserError, match=r"x\.a1 holds NaN or infinite"):
        run(found)


def test_unfilled_variable_is_named():
    with pytest.raises(UserError, match=r"nothing fills params/gain \(2,\)"):
        apply(RULES[:2], tensors(), shapes(), sources="xy", layers=2)


def test_rule_for_a_variable_that_is_not_there_is_a_mistake_of_ours():
    with pytest.raises(ValueError, match="params/layer_2/bias"):
        apply(RULES, tensors(), shapes(), sources="xy", layers=3)
