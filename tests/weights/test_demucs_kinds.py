"""Recorded networks of Demucs in files like its own: told apart, put into bags, refused if damaged.

What they compute is compared in parity/test_golden_demucs.py.
"""

import hashlib
import json

import jax
import numpy as np
import pytest
import soundfile
from foreign import write_pth, write_th
from golden_files import golden, golden_files
from golden_torch import arrays, meta, under
from safetensors.numpy import save_file

from xumx_jax import cli
from xumx_jax.errors import UserError
from xumx_jax.weights import load
from xumx_jax.weights.converters import convert, detect
from xumx_jax.weights.converters.readers import read

pytestmark = pytest.mark.slow
# Torchaudio's names and Demucs's, of the same layers.
RENAMED = {"freq_encoder": "encoder", "freq_decoder": "decoder"}
RENAMED |= {"time_encoder": "tencoder", "time_decoder": "tdecoder"}


def renamed(state, names):
    """With other first parts of names."""
    heads = {name: name.split(".")[0] for name in state}
    return {
        name.replace(heads[name], names.get(heads[name], heads[name]), 1): tensor
        for name, tensor in state.items()
    }


@golden("torch/hdemucs_ta_*.npz")
def test_both_layouts_of_hybrid_demucs(path, tmp_path):
    """The same variables, and each is called by its name if it is taken for the other."""
    torchaudio, said = under(path, "w/"), meta(path)["kwargs"]
    theirs = renamed(torchaudio, RENAMED)
    unused = [name for name in theirs if name.startswith("tencoder") and ".norm1." in name]
    files = {
        "hdemucs-torchaudio": write_pth(tmp_path / "a.pt", {"state": torchaudio, "kwargs": said}),
        "hdemucs": write_th(
            tmp_path / "b.th", {n: t for n, t in theirs.items() if n not in unused}, **said
        ),
    }
    found = {}
    for kind, file in files.items():
        assert detect(read(file).tensors) == kind
        found[kind] = convert(read(file))
        (other,) = set(files) - {kind}
        with pytest.raises(
            UserError, match=f"{file.name}: as {other}: .*by its names it is {kind}"
        ):
            convert(read(file), other)
    ours, wanted = found.values()
    assert ours.args == wanted.args
    jax.tree.map(np.testing.assert_array_equal, ours.variables, wanted.variables)


@golden("torch/demucs_v*.npz")
def test_safetensors_and_th_give_the_same_model(path, tmp_path):
    state, said = under(path, "w/"), meta(path)["kwargs"]
    th = write_th(tmp_path / "a.th", state, "demucs.demucs.Demucs", **said)
    about = {"klass": "demucs.demucs.Demucs", "args": "[]", "kwargs": json.dumps(said)}
    half = {name: tensor.astype(np.float16) for name, tensor in state.items()}
    save_file(half, tmp_path / "a.safetensors", about)
    ours, wanted = convert(read(tmp_path / "a.safetensors")), convert(read(th))
    assert ours.name == "demucs" and ours.args == wanted.args
    jax.tree.map(np.testing.assert_array_equal, ours.variables, wanted.variables)


@golden("torch/hdemucs_*.npz")
def test_damaged_files_are_named(path, tmp_path):
    state, said = under(path, "w/"), meta(path)["kwargs"]
    names = list(state)
    for left in (names[: len(names) // 2], names[len(names) // 2 :], names[:-1], names[1:]):
        file = write_th(tmp_path / "half.th", {name: state[name] for name in left}, **said)
        with pytest.raises(UserError, match=r"half\.th: ") as caught:
            load.load_weights(file)
        assert "\n" not in str(caught.value)
    more = write_th(tmp_path / "more.th", state | {"crosstransformer.w": np.ones(3)}, **said)
    with pytest.raises(UserError, match="unexpected tensor crosstransformer.w .*demucs.hdemucs"):
        load.load_weights(more)
    whole = write_th(tmp_path / "whole.th", state, **said).read_bytes()
    for part in (len(whole) // 3, len(whole) - 1):
        (tmp_path / "cut.th").write_bytes(whole[:part])
        with pytest.raises(UserError, match=r"cut\.th: cannot be read, cut off or damaged"):
            load.load_weights(tmp_path / "cut.th")


@golden("torch/demucs_v3*.npz")
@pytest.mark.usefixtures("quick_compile")
def test_a_bag_of_both_networks_separates(path, tmp_path):
    """A stem that one network alone has a weight for is that network's."""
    said = meta(path)["kwargs"]
    hybrids = golden_files("torch/hdemucs_*.npz")
    same = [o for o in hybrids if meta(o)["kwargs"]["sources"] == said["sources"]]
    if not same:
        pytest.skip("no recorded Hybrid Demucs has these sources; set GOLDEN_DIR to more files")
    other = same[0]
    for name, file, klass in (("aaaa0000", path, "demucs.Demucs"), ("b", other, "hdemucs.HDemucs")):
        arguments = meta(file)["kwargs"] | {"segment": 10}
        write_th(tmp_path / f"{name}.th", under(file, "w/"), f"demucs.{klass}", **arguments)
    digits = hashlib.sha256((tmp_path / "b.th").read_bytes()).hexdigest()[:8]
    (tmp_path / "b.th").rename(tmp_path / f"bbbb0000-{digits}.th")
    first, *_ = np.eye(len(said["sources"]), dtype=int).tolist()
    rest = [1 - one for one in first]
    text = f"models: ['aaaa0000', 'bbbb0000']\nweights: [\n  {first},\n  {rest},\n]\nsegment: 0.1\n"
    (tmp_path / "both.yaml").write_text(text)
    assert [member.args["seconds"] for member in load.load_bag(tmp_path).members] == [0.1, 0.1]

    soundfile.write(tmp_path / "track.wav", arrays(path)["in/x"][0].T, 44100, "FLOAT")
    stems = {}
    for model in ("both.yaml", "aaaa0000.th", f"bbbb0000-{digits}.th"):
        out = tmp_path / f"of {model}"
        command = [
            "separate",
            str(tmp_path / "track.wav"),
            "--out",
            str(out),
            "--format",
            "wav-f32",
        ]
        command += ["--model", str(tmp_path / model), "--chunk-seconds", "0.1"]
        assert cli.main(command) == 0
        stems[model] = [soundfile.read(out / "track" / f"{s}.wav")[0] for s in said["sources"]]
    both, alone, other = stems.values()
    np.testing.assert_allclose(both[0], alone[0], atol=1e-5)
    for number in range(1, len(both)):
        np.testing.assert_allclose(both[number], other[number], atol=1e-5)
