"""AIMLESS's networks of waveforms: every tensor has a place, and every place one."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from golden_files import golden

from xumx_jax.errors import UserError
from xumx_jax.layers.sinc_resample import torchaudio_kernel
from xumx_jax.weights.converters import convert, detect
from xumx_jax.weights.converters.aimless import RESAMPLERS
from xumx_jax.weights.converters.readers import Weights

WIDTH = 64


def tensors_of(layout: dict) -> dict:
    """Zeros of the shapes that a layout lists, which take no memory, and resampling kernels."""
    zeros = {
        name: np.broadcast_to(np.float32(0), shape) for name, shape, _, _ in layout["state_dict"]
    }
    kernels = {name: torchaudio_kernel(*rates)[:, None] for name, rates in RESAMPLERS.items()}
    return zeros | kernels


@pytest.mark.slow
@golden("torch/layouts/aimless_demucs_split_*.json")
def test_demucs_split(path):
    check(path, "demucs-split")


@pytest.mark.slow
@golden("torch/layouts/aimless_rel_tdemucs_*.json")
def test_rel_tdemucs(path):
    check(path, "rel-tdemucs")


def check(path, kind):
    layout = json.loads(path.read_text())
    # as a Lightning checkpoint names them
    tensors = {f"model.{name}": tensor for name, tensor in tensors_of(layout).items()}
    assert detect(tensors) == kind
    found = convert(Weights(Path("model.ckpt"), tensors, {"model_args": layout["kwargs"]}))
    assert found.args["width"] == layout["kwargs"].get("channels", WIDTH)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(found.variables))
    twice = sum(  # PyTorch's LSTMs have two biases, which are added
        np.prod(shape) for name, shape, _, _ in layout["state_dict"] if "lstm.bias_hh" in name
    )
    assert parameters == layout["n_trainable"] - twice


def test_kernels_of_another_resampler():
    """Weights that were trained with another filter are refused, by the tensor's name."""
    zeros = np.zeros((1, 1, 1), np.float32)
    tensors = {"dec_pre_convs.0.weight": zeros, "encoder.0.0.weight": zeros}
    tensors |= {"decoder.0.0.bias": np.zeros(4, np.float32), "up_sample.kernel": zeros}
    with pytest.raises(UserError, match=r"model\.ckpt: as demucs-split: tensor up_sample\.kernel"):
        convert(Weights(Path("model.ckpt"), tensors, {}))
