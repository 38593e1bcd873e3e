"""Demucs and Hybrid Demucs against recorded outputs of the Demucs package and of Torchaudio.

Each file holds its weights: they go through a file like the programs' own and the name maps.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from foreign import write_pth
from golden_files import golden
from golden_torch import arrays, close, meta, tree_of, under

from xumx_jax.layers.bidirectional import BidirectionalLstm
from xumx_jax.layers.dconv import DConv
from xumx_jax.layers.local_attention import LocalAttention
from xumx_jax.layers.unet import LayerOptions
from xumx_jax.weights.converters import unet
from xumx_jax.weights.load import load_module

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]
FACTOR, FLOOR = 10, 1e-6


@golden("torch/demucs_v*.npz")
def test_demucs(path, tmp_path):
    check_model(path, tmp_path)


@golden("torch/hdemucs_*.npz")
def test_hdemucs(path, tmp_path):
    check_model(path, tmp_path)


def check_model(path, tmp_path):
    """Read the file's weights as a user would, and compare what they make of its audio."""
    said = meta(path)["kwargs"]
    contents = {"state": under(path, "w/"), "args": [], "kwargs": said}
    module, variables, _ = load_module(write_pth(tmp_path / "weights.th", contents))
    assert list(module.sources) == list(said["sources"])
    found = jax.jit(lambda x: module.apply(variables, x).wave)(arrays(path)["in/x"])
    close(path, "y", found[..., :: meta(path).get("out_stride", 1)], FACTOR, FLOOR)


def cases(path) -> list[str]:
    """What the file calls its inputs, "x" and so on, without the first letter."""
    return [name.removeprefix("in/x") for name in arrays(path) if name.startswith("in/x")]


@golden("torch/demucs_unit_blstm.npz")
def test_lstm_in_pieces(path):
    weights = under(path, "w/")
    layers = len(
        [name for name in weights if name.startswith("lstm.weight_ih") and "rev" not in name]
    )
    variables = tree_of(unet.lstm("", ".lstm", layers, ".linear"), weights)
    layer = BidirectionalLstm(layers, 200, skip=True)
    for case in cases(path):
        x = arrays(path)[f"in/x{case}"].swapaxes(1, 2)
        found = layer.apply(variables, x)
        close(path, f"y{case}", found.swapaxes(1, 2), FACTOR, FLOOR)


@golden("torch/demucs_unit_localstate.npz")
def test_attention(path):
    parts = {"query": "query", "key": "key", "content": "content"}
    parts |= {"decay": "query_decay", "out": "proj"}
    rules = [
        rule
        for ours, theirs in parts.items()
        for rule in unet.convolution(f"/{ours}", f".{theirs}", unet.matrix)
    ]
    variables = tree_of(rules, under(path, "w/"))
    found = LocalAttention().apply(variables, arrays(path)["in/x"].swapaxes(1, 2))
    close(path, "y", found.swapaxes(1, 2), FACTOR, FLOOR)


@golden("torch/demucs_unit_dconv*.npz")
def test_residual_branches(path):
    """Along both axes that time can be."""
    weights = under(path, "w/")
    has = {
        "lstm": any(".lstm." in name for name in weights),
        "attention": any(".content." in name for name in weights),
    }
    depth = len({name.split(".")[1] for name in weights})
    options = LayerOptions(0, 0, depth=depth, **has)
    variables = tree_of(unet.dconv("", "", options), weights)
    x = arrays(path)["in/x"].swapaxes(1, 2)  # [batch, time, channel]
    for axis in (-2, -3):
        layer = DConv(depth=depth, axis=axis, **has)
        found = layer.apply(variables, jnp.expand_dims(x, 1 if axis == -2 else 2))
        close(path, "y", np.asarray(found).reshape(x.shape).swapaxes(1, 2), FACTOR, FLOOR)
