"""Recorded networks of Demucs in files like its own: told apart, put into bags, refused if damaged.

What they compute is compared in parity/test_golden_demucs.py.
"""

import hashlib
import json

import jax
import numpy as np
import pytest
from foreign import write_pth, write_th
from golden_files import golden, golden_files
from golden_torch import meta, under
from safetensors.numpy import save_file

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


@golden("torch/hdemucs_ta_c4_*.npz")
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


@golden("torch/demucs_v2*.npz")
def test_safetensors_and_th_give_the_same_model(path, tmp_path):
    state, said = under(path, "w/"), meta(path)["kwargs"]
    th = write_th(tmp_path / "a.th", state, "demucs.demucs.Demucs", **said)
    about = {"klass": "demucs.demucs.Demucs", "args": "[]", "kwargs": json.dumps(said)}
    half = {name: tensor.astype(np.float16) for name, tensor in state.items()}
    save_file(half, tmp_path / "a.safetensors", about)
    ours, wanted = convert(read(tmp_path / "a.safetensors")), convert(read(th))
    assert ours.name == "demucs" and ours.args == wanted.args
    jax.tree.map(np.testing.assert_array_equal, ours.variables, wanted.variables)


@golden("torch/hdemucs_ta_c4_f*.npz")
def test_damaged_files_are_named(path, tmp_path):
    state, said = under(path, "w/"), meta(path)["kwargs"]
    names = list(state)
    for left in (names[: len(names) // 2], names[:-1], names[1:]):
        file = write_th(tmp_path / "half.th", {name: state[name] for name in left}, **said)
        with pytest.raises(UserError, match=r"half\.th: ") as caught:
            load.load_weights(file)
        assert "\n" not in str(caught.value)
    more = write_th(
        tmp_path / "more.th", state | {"crosstransformer.w": np.ones(3, np.float32)}, **said
    )
    with pytest.raises(UserError, match="unexpected tensor crosstransformer.w .*demucs.hdemucs"):
        load.load_weights(more)
    whole = write_th(tmp_path / "whole.th", state, **said).read_bytes()
    for part in (len(whole) // 3, len(whole) - 1):
        (tmp_path / "cut.th").write_bytes(whole[:part])
        with pytest.raises(UserError, match=r"cut\.th: cannot be read, cut off or damaged"):
            load.load_weights(tmp_path / "cut.th")


@golden("torch/demucs_v3_*.npz")
def test_a_bag_of_both_networks(path, tmp_path):
    said = meta(path)["kwargs"]
    hybrids = golden_files("torch/hdemucs_*.npz")
    same = [other for other in hybrids if meta(other)["kwargs"]["sources"] == said["sources"]]
    if not same:
        pytest.skip("no recorded Hybrid Demucs has these sources; set GOLDEN_DIR to more files")
    alone = []
    for name, file, klass in (("a", path, "demucs.Demucs"), ("b", same[0], "hdemucs.HDemucs")):
        arguments = meta(file)["kwargs"] | {"segment": 10}
        th = write_th(tmp_path / f"{name}.th", under(file, "w/"), f"demucs.{klass}", **arguments)
        alone.append(load.load_weights(th).only)
        digits = hashlib.sha256(th.read_bytes()).hexdigest()[:8]
        th.rename(tmp_path / f"{name}-{digits}.th")
    rows = np.eye(len(said["sources"]), dtype=int)[:2].tolist()
    rows[1] = [1 - one for one in rows[0]]
    (tmp_path / "both.yaml").write_text(f"models: ['a', 'b']\nweights: {rows}\nsegment: 44\n")
    found = load.load_bag(tmp_path)
    np.testing.assert_array_equal(found.weights, rows)
    assert [member.info["kind"] for member in found.members] == ["demucs", "hdemucs"]
    for member, wanted in zip(found.members, alone, strict=True):
        assert member.args == wanted.args | {"seconds": 44} and wanted.args["seconds"] == 10
        jax.tree.map(np.testing.assert_array_equal, member.variables, wanted.variables)
