"""The name map of xumx-sliCQ's first version, on published shapes and on wrong tensors."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from golden_files import golden
from slicq_states import blocks_of, first_version, second_version

from xumx_jax.errors import UserError
from xumx_jax.models import build
from xumx_jax.weights.converters import convert, detect
from xumx_jax.weights.converters.readers import Weights

TINY = {"scale": "bark", "bins": 24, "low_hz": 300.0, "bandwidth_hz": 3000.0}
BASS = "bucketed_unmixes_bass.0"


def tensors() -> dict:
    """Zeros of a tiny network."""
    model = build("xumx_slicq", **TINY)
    count = sum(len(group.blocks) for group in model.groups)
    shapes = first_version(blocks_of(model.transform)[:count])
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


def converted(given: dict, kind: str | None = None, **settings):
    weights = Weights(Path("it.pth"), given, {"settings": {**TINY, **settings}})
    return convert(weights, kind)


@golden("slicq/published_layout_v1.json")
def test_published_layout(path):
    """Every tensor has a place and every place one."""
    layout = json.loads(path.read_text())
    blocks = [(row["F"], row["M"]) for row in layout["layout"] if not row["dummy"]]
    given = first_version(blocks)
    assert len(given) == 5712
    for name, shape in layout["state_dict"].items():
        assert given[name] == tuple(shape)
    assert detect(given) == "xumx-slicq"
    given = {name: np.broadcast_to(np.float32(0), shape) for name, shape in given.items()}
    found = convert(Weights(Path("xumx_slicq.pth"), given, {}))
    assert found.args == {"sources": ("bass", "vocals", "other", "drums"), "channels": 2}
    parameters = sum(leaf.size for leaf in jax.tree.leaves(found.variables["params"]))
    assert parameters == layout["params_total"] == 6_671_856


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        (f"{BASS}.cdae.3.weight", None, f"tensor {BASS}.cdae.3.weight is missing"),
        (f"{BASS}.cdae.12.bias", (3,), r"cdae.12.bias \(3,\)"),
        ("extra", (2,), r"unexpected tensor extra \(2,\)"),
        ("sliced_umx.0.input_mean", (2,), "weights of the second version|unexpected tensor"),
    ],
)
def test_other_tensors_are_one_line(name, shape, message):
    given = tensors()
    given.pop(name, None)
    if shape is not None:
        given[name] = np.zeros(shape, np.float32)
    with pytest.raises(UserError, match=message) as error:
        converted(given, "xumx-slicq")
    assert str(error.value).startswith("it.pth: as xumx-slicq: ")
    assert "\n" not in str(error.value)


def test_weights_of_the_other_version_are_named():
    model = build("xumx_slicq_v2", scale="bark", bins=24, low_hz=300.0)
    shapes = second_version(blocks_of(model.transform))
    given = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    with pytest.raises(UserError, match="by its names it is xumx-slicq-v2") as error:
        converted(given, "xumx-slicq")
    assert "\n" not in str(error.value)


def test_another_transform_is_one_line():
    with pytest.raises(UserError, match=r"it has \d+ blocks .*, of \d+ bands, and 40 bark bins"):
        converted(tensors(), bins=40)
