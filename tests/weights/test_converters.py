"""Kinds of weights: recognised, sized, mapped; every fault named. Truth: test_golden_torch.py."""

from pathlib import Path

import numpy as np
import pytest
from foreign import SIZES, SOURCES, asteroid, nnabla

from xumx_jax.errors import UserError
from xumx_jax.weights.converters import KINDS, convert, detect, umx
from xumx_jax.weights.converters.readers import Weights


def as_weights(tensors, **info):
    return Weights(Path("some/weights.h5"), tensors, info)


def test_kinds_are_told_by_their_tensors():
    assert detect(nnabla(**SIZES)) == "xumx-nnabla"
    assert detect(asteroid(**SIZES)) == "xumx-asteroid"
    assert detect({"affine1.0.weight": 0}) == "xumx-aimless"
    demucs = {"encoder.0.0.weight": 0, "decoder.0.0.weight": 0}
    distance = "transformer.layers.0.self_attn.pos_emb_proj.weight"
    assert detect(demucs) == "demucs"
    assert detect(demucs | {"dec_pre_convs.0.weight": 0}) == "demucs-split"
    assert detect(demucs | {distance: 0}) == "rel-tdemucs"
    assert detect({"weight": 0}) is None


@pytest.mark.parametrize("make", [nnabla, asteroid])
@pytest.mark.parametrize(
    "change", [{}, {"channels": 1}, {"layers": 1}, {"layers": 3}, {"sources": ("a", "b_c")}]
)
def test_arguments_follow_from_the_sizes(make, change):
    sizes = SIZES | change
    loaded = convert(as_weights(make(**sizes)))
    assert loaded.name == "xumx"
    assert loaded.args["sources"] == sizes["sources"]
    assert loaded.args["n_fft"] == 16 and loaded.args["hop"] == 4
    assert loaded.args["sample_rate"] == 44100 and not loaded.args["unidirectional"]
    assert loaded.args["max_bin"] == 5 and loaded.args["hidden_size"] == 4
    assert loaded.args["layers"] == sizes["layers"]
    assert loaded.args["channels"] == sizes["channels"]
    assert loaded.info == {"kind": detect(make(**sizes)), "origin": "weights.h5"}


def test_one_direction():
    assert convert(as_weights(nnabla(**SIZES, directions=1))).args["unidirectional"]


def test_what_a_file_says_of_its_model_counts():
    said = {"n_hop": 2, "sample_rate": 22050, "spec_power": 2, "sources": list(SOURCES)}
    args = convert(as_weights(asteroid(**SIZES), model_args=said)).args
    assert (args["hop"], args["sample_rate"], args["power"]) == (2, 22050, 2)


@pytest.mark.parametrize("prefix", ["model.", "module.model."])
def test_names_in_a_wrapper(prefix):
    plain = asteroid(**SIZES)
    wrapped = {prefix + name: tensor for name, tensor in plain.items()} | {
        "loss.window": np.ones(4)
    }
    ours, wanted = (convert(as_weights(tensors)).variables for tensors in (wrapped, plain))
    np.testing.assert_array_equal(ours["params"]["dec"]["mean"], wanted["params"]["dec"]["mean"])


def test_transform_buffers_of_old_nnabla_are_ignored():
    old = {name: np.zeros((9, 1, 16)) for name in ("conv_r", "conv_i", "conv_cos", "conv_sin")}
    convert(as_weights(nnabla(**SIZES) | old))


def test_gates_of_nnabla_by_hand():
    weight = np.arange(1 * 4 * 1 * 3).reshape(1, 4, 1, 3)  # [direction, gate, hidden, 2 + 1]
    np.testing.assert_array_equal(umx.nnabla_input(weight), [[[0, 3, 6, 9], [1, 4, 7, 10]]])
    np.testing.assert_array_equal(umx.nnabla_recurrent(weight), [[[2, 5, 8, 11]]])


@pytest.mark.parametrize("make", [nnabla, asteroid])
def test_any_missing_or_wrong_tensor_is_named(make):
    whole = make(**SIZES)
    names = [name for name in whole if "window" not in name and "num_batches" not in name]
    for name in names[:: max(1, len(names) // 6)]:
        for change in ("missing", "longer"):
            broken = dict(whole)
            if change == "missing":
                del broken[name]
            else:
                broken[name] = np.repeat(broken[name], 2, axis=-1)
            with pytest.raises(UserError) as caught:
                convert(as_weights(broken))
            assert str(caught.value).startswith("some/weights.h5: as xumx-")
            assert name in str(caught.value) and "\n" not in str(caught.value)


def test_layers_that_nnabla_holds_in_one_tensor_are_counted():
    tensors = nnabla(**SIZES)
    tensors["lstm_drums/lstm/weight"] = np.concatenate([tensors["lstm_drums/lstm/weight"]] * 2)
    with pytest.raises(UserError, match=r"lstm_drums/lstm/weight .*\(2 layers, wanted 1\)"):
        convert(as_weights(tensors))


def test_extra_tensor_and_unknown_kinds_are_refused():
    with pytest.raises(UserError, match=r"unexpected tensor fc4_bass/affine/W \(2,\)"):
        convert(as_weights(nnabla(**SIZES) | {"fc4_bass/affine/W": np.ones(2)}))
    with pytest.raises(UserError, match="none of the known kinds .*xumx-nnabla.*: fc.weight"):
        convert(as_weights({"fc.weight": np.ones(3)}))
    with pytest.raises(UserError, match="unknown kind of weights 'umx-tf'; known: xumx-nnabla"):
        convert(as_weights(nnabla(**SIZES)), "umx-tf")
    for kind in KINDS:
        with pytest.raises(UserError, match=f"some/weights.h5: as {kind}: "):
            convert(as_weights({"fc.weight": np.ones(3)}), kind)
