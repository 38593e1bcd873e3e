"""The name map of xumx-sliCQ-V2, on zeros of published shapes and on tensors of a tiny network."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from foreign import write_pth
from golden_files import golden
from slicq_states import blocks_of, second_version

from xumx_jax.errors import UserError
from xumx_jax.models import build
from xumx_jax.weights.converters import convert, detect, slicq_v2
from xumx_jax.weights.converters.readers import Weights
from xumx_jax.weights.load import load_module
from xumx_jax.weights.published import PUBLISHED

TINY = {"scale": "bark", "bins": 24, "low_hz": 300.0}


def zeros(shapes: dict) -> dict:
    """They take no memory."""
    return {name: np.broadcast_to(np.float32(0), shape) for name, shape in shapes.items()}


def tensors(seed: int = 0, **options) -> dict:
    """Random tensors of a tiny network."""
    plan = build("xumx_slicq_v2", **TINY).transform
    draw = np.random.default_rng(seed)
    return {
        name: draw.standard_normal(shape).astype(np.float32)
        for name, shape in second_version(blocks_of(plan), 3, 4, **options).items()
    }


def converted(given: dict, **settings):
    return convert(Weights(Path("it.pth"), given, {"settings": {**TINY, **settings}}))


@pytest.mark.slow
@golden("slicq/published_layout_v2.json")
def test_published_layout(path):
    """Every tensor has a place and every place one; the number of parameters is the original's."""
    layout = json.loads(path.read_text())
    blocks = [(row["F"], row["M"]) for row in layout["layout"]]
    given = second_version(blocks)
    for name, shape in layout["state_dict_block0"].items():
        assert given[name] == tuple(shape)
    for row in layout["layout"]:
        for layer in row["layers"]:
            name = f"sliced_umx.{row['block']}.cdaes.0.{layer['idx']}"
            for shape, end in zip(layer["shape"], ("weight", "bias"), strict=False):
                assert given[f"{name}.{end}"] == tuple(shape)
    assert detect(given) == "xumx-slicq-v2"
    found = convert(Weights(Path("xumx_slicq_v2.pth"), zeros(given), {}))
    assert found.args == {"channels": 2, "hidden_size": 50, "inner_size": 51}
    parameters = sum(leaf.size for leaf in jax.tree.leaves(found.variables["params"]))
    assert parameters == layout["params_total"] == 15_010_446


def test_every_row_says_its_transform():
    """The tiny ones' number of blocks is that of no other known transform."""
    for name in ("xumx-slicq-v2", "xumx-slicq-v2-realtime", "xumx-slicq-v2-tiny"):
        (member,) = PUBLISHED[name].members
        model = build("xumx_slicq_v2", **member.settings)
        assert model.mix_phase == (name != "xumx-slicq-v2")
        assert set(model.sources) == set(member.sources)
        given = zeros(second_version(blocks_of(model.transform)))
        for settings in (member.settings, {}):
            found = slicq_v2.arguments(given, {"settings": settings})
            assert build("xumx_slicq_v2", **found).transform == model.transform


def test_every_tensor_has_its_place():
    given = tensors()
    found = converted(given)
    model = build(found.name, **found.args)
    assert (model.hidden_size, model.inner_size, model.mix_phase) == (3, 4, False)
    params, stats = found.variables["params"], found.variables["batch_stats"]
    plan = model.transform
    drums = model.sources.index("drums")
    for network, blocks, _ in slicq_v2.networks(plan):
        start = 0
        for number, block in enumerate(blocks):
            theirs = f"sliced_umx.{block}.cdaes.3"
            size = plan.blocks[block].size
            own = params[network]
            one = own["first"][:, :, start : start + size, drums]
            np.testing.assert_array_equal(one.transpose(3, 1, 0, 2), given[f"{theirs}.0.weight"])
            one = own["last"][drums, ..., start : start + size]
            np.testing.assert_array_equal(one.transpose(1, 2, 0, 3), given[f"{theirs}.9.weight"])
            one = own["second"][number, drums]  # [band tap, in, tap, out]
            np.testing.assert_array_equal(one.transpose(3, 1, 0, 2), given[f"{theirs}.3.weight"])
            one = own["third"][number, drums]
            np.testing.assert_array_equal(one.transpose(1, 3, 0, 2), given[f"{theirs}.6.weight"])
            np.testing.assert_array_equal(own["bias"][number, drums], given[f"{theirs}.9.bias"])
            norm = stats[network]["norm_1"]["var"][number, drums]
            np.testing.assert_array_equal(norm, given[f"{theirs}.4.running_var"])
            start += size
        means = [given[f"sliced_umx.{block}.input_mean"] for block in blocks]
        np.testing.assert_array_equal(own["mean"], np.concatenate(means))


def test_options_beside_a_file_say_what_no_tensor_shows(tmp_path):
    path = write_pth(tmp_path / "it.pth", tensors())
    with pytest.raises(UserError, match=r"it has \d+ blocks, other than bark, 262 bins"):
        load_module(path)
    options = {"fscale": "bark", "fbins": 24, "fmin": 300.0, "realtime": True, "seed": 42}
    path.with_suffix(".json").write_text(json.dumps({"args": options}))
    model, _, info = load_module(path)
    assert (model.bins, model.low_hz, model.mix_phase) == (24, 300.0, True)
    assert info["kind"] == "xumx-slicq-v2"
    for text in ("{}", "[", '{"args": 3}'):
        path.with_suffix(".json").write_text(text)
        with pytest.raises(UserError, match=r"it\.json: not the options of xumx-sliCQ-V2") as error:
            load_module(path)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("sliced_umx.1.cdaes.2.3.weight", None, "sliced_umx.1.cdaes.2.3.weight is missing"),
        ("sliced_umx.0.input_mean", (3,), r"params/.*/mean|sliced_umx.0.input_mean"),
        ("sliced_umx.0.cdaes.0.0.weight", (3, 2, 1, 7), r"cdaes.0.0.weight is \(3, 2, 1, 7\)"),
        ("sliced_umx.0.cdaes.0.7.bias", (5,), r"cdaes.0.7.bias is \(5,\), wanted \(3,\)"),
        ("extra", (2,), r"unexpected tensor extra \(2,\)"),
        ("bucketed_unmixes_bass.0.input_mean", (2,), "weights of the first version"),
    ],
)
def test_other_tensors_are_one_line(name, shape, message):
    given = tensors()
    given.pop(name, None)
    if shape is not None:
        given[name] = np.zeros(shape, np.float32)
    with pytest.raises(UserError, match=message) as error:
        converted(given)
    assert str(error.value).startswith("it.pth: as xumx-slicq-v2: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scale": "chroma"}, "its scale is 'chroma'; known: bark, mel"),
        ({"bins": 1}, "its options make no transform: bins 1"),
        ({"bins": 30}, "other than bark, 30 bins from 300.0 Hz"),
    ],
)
def test_other_options_are_one_line(settings, message):
    with pytest.raises(UserError, match=message) as error:
        converted(tensors(), **settings)
    assert "\n" not in str(error.value)
