"""What recorded outputs of PyTorch programs hold, and how ours are compared with them."""

import json
from functools import cache

import jax
import numpy as np
import pytest
from flax.traverse_util import unflatten_dict
from foreign import write_pth
from golden_files import golden_files

from xumx_jax.weights.converters import KINDS, rules, shapes
from xumx_jax.weights.load import load_module

FACTOR = 20  # of the oracle's own rounding; or FLOOR of its largest value, if that is more
FLOOR = 1e-5


@cache
def arrays(path):
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def meta(path) -> dict:
    return json.loads(str(arrays(path)["meta"]))


def golden_settings(pattern: str):
    """Mark a test as golden and run it once for every setting that a file recorded."""
    found = [(path, name) for path in golden_files(pattern) for name in meta(path)["configs"]]
    cases = [pytest.param(path, name, id=f"{path.stem}-{name}") for path, name in found]
    if not cases:
        reason = f"no golden file {pattern}; set GOLDEN_DIR to a folder that holds it"
        cases = [pytest.param(None, None, id="none", marks=pytest.mark.skip(reason=reason))]
    parametrize = pytest.mark.parametrize(("path", "setting"), cases)

    def decorate(test):
        return pytest.mark.golden(parametrize(test))

    return decorate


def under(path, prefix: str) -> dict:
    return {k.removeprefix(prefix): v for k, v in arrays(path).items() if k.startswith(prefix)}


def close(path, name: str, ours, factor: float = FACTOR, floor: float = FLOOR):
    """Compare with `out/<name>`: absolutely, scaled to its largest value."""
    wanted = arrays(path)[f"out/{name}"]
    known = meta(path).get("f32_vs_f64", {}).get(name, {"max_abs": 0.0})
    tolerance = max(factor * known["max_abs"], floor * np.abs(wanted).max())
    assert np.shape(ours) == wanted.shape
    np.testing.assert_allclose(ours, wanted, rtol=0, atol=tolerance)


def loaded(path, folder):
    """Module, variables and info of the file's weights, through a file like the program's own."""
    contents = {"state_dict": under(path, "w/"), "model_args": meta(path)["kwargs"]}
    return load_module(write_pth(folder / "weights.pth", contents))


def tree_of(rules_, tensors: dict) -> dict:
    """Variables of a layer that is no model, from rules whose names begin with a separator."""
    filled = {}
    for rule in rules_:
        theirs = [tensors[name.removeprefix(".")] for name in rule.names]
        filled[rule.target.replace("//", "/")] = rule.how(*theirs)
    return unflatten_dict(filled, sep="/")


def as_variables(tensors: dict, info: dict) -> dict:
    """Map tensors that lie like the weights (gradients, statistics) onto our variables."""
    kind, args = KINDS[info["kind"]], info["args"]
    return rules.apply(
        kind.rules(args),
        tensors,
        shapes(kind.model, args),
        kind.spelled or args["sources"],
        args.get("layers", 0),
        kind.ignore,
    )


def check_gradients(path, info, gradients, floor: float = 0.0):
    """Compare with `out/grad/`: to 1e-4 of each one's largest, or `floor` of the largest of all."""
    wanted = as_variables(under(path, "w/") | under(path, "out/grad/"), info)["params"]
    least = floor * max(np.abs(leaf).max() for leaf in jax.tree.leaves(wanted))

    def near(where, ours, theirs):
        name = jax.tree_util.keystr(where, simple=True, separator="/")
        atol = max(1e-4 * np.abs(theirs).max(), least)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=atol, err_msg=name)

    jax.tree_util.tree_map_with_path(near, jax.device_get(gradients), wanted)


def check_step(path, info, value, gradients, statistics):
    """Compare a training step's loss, gradients and running statistics with the file's."""
    np.testing.assert_allclose(value, arrays(path)["out/loss"], rtol=1e-5)
    weights = under(path, "w/")
    after = as_variables(weights | under(path, "out/after/"), info)["batch_stats"]
    jax.tree.map(
        lambda ours, wanted: np.testing.assert_allclose(ours, wanted, rtol=1e-5, atol=1e-5),
        jax.device_get(statistics),
        after,
    )
    wanted = as_variables(weights | under(path, "out/grad/"), info)["params"]
    largest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(wanted))

    def one(where, ours, wanted):
        name = jax.tree_util.keystr(where, simple=True, separator="/")
        if name == "enc/mean":  # zero: batch normalisation removes what it adds
            assert np.abs(ours).max() < 1e-5 * largest
            return
        if name.startswith("lstm") and name.endswith("bias"):
            ours = 2 * ours  # theirs are two biases, each with this gradient, here summed
        np.testing.assert_allclose(
            ours, wanted, rtol=0, atol=1e-4 * np.abs(wanted).max(), err_msg=name
        )

    jax.tree_util.tree_map_with_path(one, jax.device_get(gradients), wanted)
