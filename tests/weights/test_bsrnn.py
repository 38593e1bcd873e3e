"""The name map of BandSplitRNN, on tensors of a tiny network."""

from pathlib import Path

import numpy as np
import pytest

from xumx_jax.errors import UserError
from xumx_jax.weights.converters import convert
from xumx_jax.weights.converters.readers import Weights

WIDTHS, SIZE, CELLS = (2, 3, 4), 8, 4


def tensors(sources: int = 1, prefix: str = "model.") -> dict:
    """Random tensors of a network with three bands and two layers, as PyTorch calls them."""
    shapes = {}
    for band, width in enumerate(WIDTHS):
        shapes |= {f"norm1_list.{band}.{name}": (width,) for name in ("weight", "bias")}
        shapes |= {f"norm2_list.{band}.{name}": (SIZE,) for name in ("weight", "bias")}
        shapes |= linear(f"fc1_list.{band}", width, SIZE)
        shapes |= linear(f"mlps.{band}.0", SIZE, 4 * SIZE)
        shapes |= linear(f"mlps.{band}.2", 4 * SIZE, width * sources)
    for part in ("time", "band"):
        for layer in range(2):
            norm = f"{part}_group_norms.{layer}"
            shapes |= {f"{norm}.{name}": (SIZE,) for name in ("weight", "bias")}
            for end in ("_l0", "_l0_reverse"):
                lstm = f"{part}_lstms.{layer}"
                shapes |= {f"{lstm}.bias_{name}{end}": (4 * SIZE,) for name in ("ih", "hh")}
                shapes[f"{lstm}.weight_ih{end}"] = 4 * SIZE, SIZE
                shapes[f"{lstm}.weight_hh{end}"] = 4 * SIZE, CELLS
                shapes[f"{lstm}.weight_hr{end}"] = CELLS, SIZE
    draw = np.random.default_rng(0)
    return {
        f"{prefix}{name}": draw.standard_normal(shape).astype(np.float32)
        for name, shape in shapes.items()
    }


def linear(name: str, inputs: int, outputs: int) -> dict:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def converted(given: dict, **info):
    return convert(Weights(Path("weights.ckpt"), given, info))


def test_arguments_come_from_tensors_and_settings():
    args = converted(tensors()).args
    assert args == {
        "sources": ("music",), "sample_rate": 44100, "n_fft": 16, "hop": 4, "hidden_size": SIZE,
        "layers": 2, "bands": (0, 2, 5, 9),
    }  # fmt: skip
    assert converted(tensors(3)).args["sources"] == ("music", "sfx", "speech")
    assert converted(tensors(2)).args["sources"] == ("source_1", "source_2")
    more = {"model_args": {"norm_groups": 2}, "settings": {"sources": ("voice",), "hop": 8}}
    args = converted(tensors(), **more).args
    assert (args["sources"], args["hop"], args["groups"]) == (("voice",), 8, 2)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"norm_groups": "x"}, "groups 'x': wanted a whole number"),
        ({"hop_length": float("inf")}, "hop inf: wanted a whole number"),
        ({"mask": "complex"}, "its model_args have an unknown argument, mask"),
    ],
)
def test_options_that_make_no_sense_are_one_line(said, message):
    with pytest.raises(UserError, match=f"weights.ckpt: as bsrnn: .*{message}"):
        converted(tensors(), model_args=said)


def test_every_tensor_has_its_place():
    given = tensors(2)
    params = converted(given).variables["params"]
    theirs = {name.removeprefix("model."): tensor for name, tensor in given.items()}
    np.testing.assert_array_equal(params["split"]["kernel"][2:5], theirs["fc1_list.1.weight"].T)
    lstm = params["stack"]["band_lstm"]
    np.testing.assert_array_equal(lstm["w_hr"][1, 1], theirs["band_lstms.1.weight_hr_l0_reverse"].T)
    biases = (theirs[f"time_lstms.0.bias_{name}_l0_reverse"] for name in ("ih", "hh"))
    np.testing.assert_array_equal(params["stack"]["time_lstm"]["bias"][0, 1], sum(biases))
    # all bins of a band's first source, and then those of its second
    last = theirs["mlps.2.2.weight"]
    np.testing.assert_array_equal(params["merge"]["kernel"][:, 5:9, 0], last[:4].T)
    np.testing.assert_array_equal(params["merge"]["kernel"][:, 5:9, 1], last[4:].T)
    np.testing.assert_array_equal(params["merge"]["bias"][1, 5:9], theirs["mlps.2.2.bias"][4:])


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("time_lstms.1.weight_hr_l0", None, "time_lstms.1.weight_hr_l0 is missing"),
        ("extra", (2,), r"unexpected tensor extra \(2,\)"),
        ("mlps.1.2.bias", None, "mlps.1.2.bias is missing"),
        ("norm1_list.1.bias", None, "norm1_list.1.bias is missing"),
        ("mlps.1.2.bias", (5,), r"mlps.1.2.bias \(5,\)"),
        ("fc1_list.1.weight", (SIZE, 7), r"fc1_list.1.weight \(8, 7\)"),
        ("mlps.0.2.weight", (3, 4 * SIZE), r"mlps.0.2.weight \(3, 32\)"),
    ],
)
def test_other_tensors_are_one_line(name, shape, message):
    given = tensors()
    if shape is None:
        del given[f"model.{name}"]
    else:
        given[f"model.{name}"] = np.zeros(shape, np.float32)
    with pytest.raises(UserError, match=message) as error:
        converted(given)
    assert str(error.value).startswith("weights.ckpt: as bsrnn: ")
    assert "\n" not in str(error.value)
