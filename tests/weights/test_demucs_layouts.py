"""Full-size networks of the Demucs family: every tensor has a place, and every place one."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from foreign import write_th
from golden_files import golden
from golden_torch import meta, under

from xumx_jax.models import model_class
from xumx_jax.models.interface import fields
from xumx_jax.weights.converters import KINDS, convert, detect
from xumx_jax.weights.converters.demucs import RENAMED, modern
from xumx_jax.weights.converters.readers import Weights, read

pytestmark = pytest.mark.slow
UNSEEN = ("dconv_init", "hybrid_old")  # of which tensors say nothing


@golden("torch/layouts/torchaudio_hdemucs_*.json")
def test_torchaudio(path):
    check(path, "hdemucs-torchaudio")


@golden("torch/layouts/aimless_hdemucs_*.json")
def test_aimless(path):
    """The stems are in the order of its data sets, which is not that of its config's list."""
    order = ["drums", "bass", "other", "vocals"] if "mdx" in path.name else None
    check(path, "hdemucs-torchaudio", order)


@golden("torch/layouts/demucs_demucs_*.json")
def test_demucs(path):
    check(path, "demucs")


@golden("torch/layouts/demucs_hdemucs_*.json")
def test_hdemucs(path):
    check(path, "hdemucs")


def check(path, kind, order=None):
    """All arguments but the sources' names can be read from a file that states none.

    `order` is that of the sources, if not as stated.
    """
    layout = json.loads(path.read_text())
    shapes = {name: tuple(shape) for name, shape, _, _ in layout["state_dict"]}
    tensors = {name: np.broadcast_to(np.float32(0), shape) for name, shape in shapes.items()}
    assert detect(tensors) == kind
    stated = {RENAMED.get(name, name): value for name, value in layout["kwargs"].items()}
    found = convert(Weights(Path("model.th"), tensors, {"kwargs": layout["kwargs"]}))
    wanted = fields(model_class(found.name)) | stated
    wanted["sources"] = order or wanted["sources"]
    assert set(found.args) >= set(stated)
    compare(found.args, wanted)
    unstated = KINDS[kind].arguments(tensors, {})
    assert len(unstated.pop("sources")) == len(stated["sources"])
    compare(unstated, wanted | {name: unstated.get(name) for name in UNSEEN})
    # PyTorch's LSTMs have two biases, which are added; Torchaudio makes a normalisation unused
    left = [name for name in shapes if ".bias_hh" in name]
    if kind == "hdemucs-torchaudio":
        left += [name for name in shapes if name.startswith("time_enc") and ".norm1." in name]
    parameters = sum(leaf.size for leaf in jax.tree.leaves(found.variables))
    assert parameters == layout["n_trainable"] - sum(int(np.prod(shapes[n])) for n in left)


def compare(args, wanted):
    for name, value in args.items():
        if name == "width_time":
            assert value in (None, wanted["width"])
        elif name == "sources":
            assert list(value) == list(wanted[name])
        else:
            assert value == wanted[name], name


@golden("torch/demucs_v2*.npz")
def test_names_of_before_there_was_a_place_for_normalisation(path, tmp_path):
    """The rewriting convolution of the encoder and the last one of the decoder were number 2."""
    state, said = under(path, "w/"), meta(path)["kwargs"]
    old = {}
    for name, tensor in state.items():
        parts = name.split(".")
        if parts[0] in ("encoder", "decoder") and parts[2] == "3":
            parts[2] = "2"
        old[".".join(parts)] = tensor
    assert set(old) != set(state) and set(modern(old)) == set(state)
    assert modern(state) is state or modern(state).keys() == state.keys()
    ours, wanted = (
        convert(read(write_th(tmp_path / f"{name}.th", tensors, "demucs.demucs.Demucs", **said)))
        for name, tensors in (("old", old), ("new", state))
    )
    assert ours.args == wanted.args and ours.name == "demucs"
    jax.tree.map(np.testing.assert_array_equal, ours.variables, wanted.variables)
