"""Bad checkpoints of today's networks: one line that says what it is, and of which file."""

import os
import pickle
import re
import zipfile

import numpy as np
import onnx
import pytest
from foreign import write_pth
from foreign_modern import AUDIO, BS, MDX, SC, STATES, VOCALS, checkpoint, roformer
from onnx import helper, numpy_helper

from xumx_jax import assets, cli
from xumx_jax.errors import UserError
from xumx_jax.weights.load import load_weights


def refused(path, message, **more):
    """Loading fails with one line that names the file."""
    with pytest.raises(UserError, match=message) as error:
        load_weights(path, **more)
    said = str(error.value)
    assert said.startswith(str(path.parent)) and said.isprintable()
    assert len(said) < len(str(path)) + 600
    return said


def changed(section, config, **more):
    return {**config, section: {**config[section], **more}}


RO = {"model": BS, "training": VOCALS}
MD = {"audio": AUDIO, "model": MDX, "training": {"instruments": ["a", "b"]}}
SN = {"model": SC, "training": {"instruments": ["a", "b"]}}


@pytest.mark.parametrize(
    ("state", "config", "message"),
    [
        ("bs", changed("model", RO, dim=16), "as bs_roformer: dim is stated as 16; .* have 8"),
        ("bs", changed("model", RO, depth=3), "depth is stated as 3; its tensors have 2"),
        ("bs", changed("model", RO, heads=4), "heads is stated as 4; its tensors have 2"),
        ("bs", changed("model", RO, mask_estimator_depth=1), "depth is stated as 1; .* have 2"),
        ("bs", changed("model", RO, freqs_per_bands=[33]), "freqs_per_bands is stated as"),
        ("bs", changed("model", RO, num_stems=2), "num_stems is stated as 2; its tensors have 1"),
        ("bs", changed("model", RO, use_pope=True), "use_pope is stated as True"),
        ("bs", changed("model", RO, stereo=False), "which do not fit channels 1 and n_fft 64"),
        ("bs", changed("model", RO, stft_n_fft=10**9), "do not fit channels 2 and n_fft 1000000"),
        ("bs", changed("model", RO, stft_hop_length="x"), "hop is 'x'; wanted a whole number"),
        ("bs", changed("model", RO, stft_hop_length=0), "hop is 0; wanted"),
        ("bs", changed("model", RO, sample_rate=1e400), "sample_rate is inf; wanted a whole"),
        ("bs", changed("model", RO, new_part=2), "an unknown argument, new_part"),
        ("bs", changed("training", RO, target_instrument=None), "stated as vocals, other, and"),
        ("bs", changed("training", RO, target_instrument="a/b"), "'a/b' cannot be the name of a"),
        ("bs", RO | {"inference": {"normalize": True}}, "m.yaml: inference has normalize"),
        ("bs", RO | {"inference": {"chunk_size": "x"}}, "m.yaml: chunk_size is 'x'; wanted a"),
        ("bs", RO | {"training": {"instruments": 5}}, "m.yaml: the instruments .* are 5; wanted"),
        ("bs", RO | {"audio": [1]}, r"m.yaml: audio is \[1\]; wanted names and values"),
        ("bs", RO | {"model": "htdemucs"}, "m.yaml: model is 'htdemucs'; wanted names and val"),
        ("bs", {"lr": 3}, "m.yaml: not a configuration of a network; wanted some of audio, mod"),
        ("bs", "model: {dim: 8", "m.yaml: line 1: expected"),
        ("bs", "model: !!python/object/apply:os.getcwd []", "m.yaml: line 1: hostile"),
        ("mel", changed("model", RO, num_bands=7), "channels 2 and n_fft 64 at 44100 Hz"),
        ("mdx", changed("model", MD, growth=4), "growth is stated as 4; its tensors have 2"),
        ("mdx", changed("model", MD, act="swish"), "act 'swish': wanted gelu, relu or elu"),
        ("mdx", changed("model", MD, act="elux"), "act 'elux': wanted gelu, relu or elu"),
        ("mdx", changed("model", MD, norm="LayerNorm"), "norm 'LayerNorm': wanted one of"),
        ("mdx", changed("model", MD, norm="GroupNormx"), "norm 'GroupNormx': wanted one of"),
        ("mdx", changed("model", MD, attention=1), "model has an unknown argument, attention"),
        ("mdx", changed("audio", MD, dim_f=32), "dim_f is stated as 32; its tensors have 16"),
        ("mdx", changed("audio", MD, n_fft=16), "n_fft 16, hop 16: wanted"),
        ("scnet", changed("model", SN, dims=[4, 8]), r"dims is stated as .* have \(4, 4\)"),
        ("scnet", changed("model", SN, compress=1), "compress is stated as 1; its tensors have 4"),
        ("scnet", changed("model", SN, band_SR=[1]), "shares: wanted 3 values"),
        ("scnet", changed("training", SN, instruments=["a"]), "sources are stated as a, and its"),
    ],
)
def test_what_contradicts_the_tensors_or_makes_no_sense(tmp_path, state, config, message):
    path = checkpoint(tmp_path, STATES[state](), config, "m.ckpt")
    assert "m.yaml" in refused(path, message)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("layers.0.0.layers.0.0.to_value_residual_mix.weight", "value residual"),
        ("mask_estimators.0.segm.backbone.p2.conv.weight", "HyperACE"),
        ("mask_estimators.0.to_freqs.0.0.fno_blocks.0.weight", "Fourier neural operators"),
        ("siamese.0.weight", "Siamese branches"),
        ("layers.0.0.layers.0.0.static_alpha", "hyper-connections"),
        ("layers.0.0.layers.0.0.to_qkv.lora_A", "LoRA adapters that are not merged"),
    ],
)
@pytest.mark.parametrize("left", ["final_norm.gamma", ""])
def test_variants_are_named(tmp_path, name, what, left):
    """Also where so much is different that the rest fits no kind."""
    state = roformer() | {name: np.ones((2, 8), np.float32)}
    state = {one: tensor for one, tensor in state.items() if one != left}
    refused(checkpoint(tmp_path, state), f"a RoFormer with {what}.*, which is not covered .it has")


def test_names_of_variants_mean_nothing_elsewhere(tmp_path):
    state = {"static_alpha": np.ones(3, np.float32)}
    refused(checkpoint(tmp_path, state), "its tensors fit none of the known kinds")


SETTINGS = {
    "bs": {"hop": 16},
    "mel": {"hop": 16, "sample_rate": 8000},
    "mdx": {"hop": 16, "n_fft": 64, "frames": 32},
    "scnet": {"hop": 16, "n_fft": 128, "shares": (0.2, 0.4, 0.4)},
}


@pytest.mark.parametrize("state", STATES)
def test_damaged_files(tmp_path, state):
    tensors = STATES[state]()
    last = tensors.popitem()[0]
    path = checkpoint(tmp_path, tensors)
    refused(path, f"tensor {last} is missing|gives the sources", settings=SETTINGS[state])
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    refused(path, "model.ckpt: cannot be read, cut off or damaged")


def test_nothing_in_a_checkpoint_is_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    (tmp_path / "m.yaml").write_text("model: {stft_hop_length: 441}")
    path = write_pth(tmp_path / "m.ckpt", {"state_dict": roformer(), "callback": Evil()})
    refused(path, "hostile: unpickled by others, it would run posix.mkdir")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Evil(), protocol=2))
    refused(path, "hostile")
    assert not (tmp_path / "ran").exists()


def network(path, *nodes):
    """An .onnx of nodes one behind the other, (operator, *shapes of its weights) each."""
    made, tensors, last = [], [], "x"
    for number, (operator, *shapes) in enumerate(nodes):
        names = [f"w{number}_{index}" for index in range(len(shapes))]
        weights = [np.ones(shape, np.float32) for shape in shapes]
        tensors += map(numpy_helper.from_array, weights, names)
        made.append(helper.make_node(operator, [last, *names], [f"y{number}"]))
        last = f"y{number}"
    ends = [helper.make_tensor_value_info(end, 1, None) for end in ("x", last)]
    onnx.save(helper.make_model(helper.make_graph(made, "g", ends[:1], ends[1:], tensors)), path)
    return path


CONV, DENSE = ("Conv", (4, 4, 3, 3), (4,)), ("MatMul", (8, 4))
NORM = ("BatchNormalization", (4,), (4,), (4,), (4,))


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([CONV, ("LSTM", (1, 4, 4))], "it has a node 'LSTM'; wanted a network of MDX-Net"),
        ([CONV, ("Relu",), CONV], "weights are 2 Conv, not those of MDX-Net in their order"),
        ([DENSE], "weights are 1 MatMul, not those"),
        ([CONV, CONV, DENSE, NORM, CONV, DENSE, NORM], "3 Conv, 2 MatMul, 2 BatchNormalization"),
        ([("Relu",)], "no tensors in it"),
    ],
)
def test_onnx_of_other_networks(tmp_path, nodes, message):
    refused(network(tmp_path / "a.onnx", *nodes), message)


def test_onnx_that_uvr_does_not_know(tmp_path):
    block = [CONV, DENSE, NORM, ("MatMul", (4, 8)), NORM]
    path = network(tmp_path / "a.onnx", ("Conv", (4, 4, 1, 1), (4,)), *block, CONV)
    refused(path, "no tensor shows n_fft; MDX-Net leaves out .*audio: {n_fft: 6144}")
    (tmp_path / "a.yaml").write_text("audio: {n_fft: 64, hop_length: 16, dim_f: 16}")
    refused(path, "dim_f is stated as 16; its tensors have 8")
    path.write_bytes(path.read_bytes()[:60])
    refused(path, "cannot be read, cut off or damaged")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["hop"], "--setting hop: wanted NAME=VALUE"),
        (["hop=1", "hop=2"], "--setting hop=2: hop is given twice"),
        (["hop=[1"], r"--setting hop=\[1: line 1: expected"),
        (["hop=!!python/name:os.system ''"], "--setting hop=.*: line 1: hostile"),
        (["hopp=16"], "m.ckpt: unknown setting 'hopp'; known: sources, sample_rate"),
        (["hop=16", "features=16"], "m.ckpt: as bs_roformer: tensor .* wanted .2, 16"),
        (["hop=16", "sources=a,b"], "m.ckpt: .*sources are stated as a, b, and its tensors have 1"),
        (["hop=x"], "m.ckpt: .*hop is 'x'; wanted a whole number"),
    ],
)
def test_settings_that_make_no_sense(tmp_path, capsys, settings, message):
    path, target = checkpoint(tmp_path, roformer(), name="m.ckpt"), tmp_path / "m.safetensors"
    given = [word for setting in settings for word in ("--setting", setting)]
    assert cli.main(["convert", str(path), str(target), *given]) == 2
    said = capsys.readouterr().err
    assert re.search(message, said) and said.count("\n") == 1 and not target.exists()


def test_settings_are_for_what_is_open(tmp_path, capsys):
    """Files of ours, and so models by name, have all of theirs."""
    path, target = tmp_path / "m.safetensors", tmp_path / "n.safetensors"
    path.write_bytes(assets.DEMO_FILE.read_bytes())
    assert cli.main(["convert", str(path), str(target), "--setting", "hop=441"]) == 2
    said = capsys.readouterr().err
    assert "m.safetensors: it leaves no hop open" in said and said.count("\n") == 1
    assert not target.exists()
