"""One door for all formats: the same model behind each, clear words where there is none."""

import subprocess
import sys

import jax
import numpy as np
import pytest
from foreign import SIZES, asteroid, nnabla, write_h5, write_pth
from safetensors.numpy import save_file

import xumx_jax
from xumx_jax import assets
from xumx_jax.errors import UserError
from xumx_jax.weights import load
from xumx_jax.weights.bag import save_model


def same(ours, wanted):
    jax.tree.map(np.testing.assert_array_equal, ours, wanted)


@pytest.fixture
def h5(tmp_path):
    return write_h5(tmp_path / "w.h5", nnabla(**SIZES))


def test_every_format_loads_the_same_model(tmp_path, h5):
    module, variables, info = load.load_module(h5)
    assert module.sources == SIZES["sources"] and module.n_fft == 16
    assert info["kind"] == "xumx-nnabla" and info["path"] == str(h5)
    for target in ("folder", "ours.safetensors"):
        load.convert(h5, tmp_path / target)
        again, found, converted = load.load_module(str(tmp_path / target))
        assert again == module
        same(found, variables)
        assert converted["kind"] == "xumx-nnabla" and converted["origin"] == "w.h5"
    save_file(nnabla(**SIZES), tmp_path / "theirs.safetensors")  # which sorts names: another order
    again, found, _ = load.load_module(tmp_path / "theirs.safetensors")
    order = [again.sources.index(source) for source in module.sources]
    same(jax.tree.map(lambda leaf: leaf[order], found), variables)


def test_torch_file_with_arguments_beside_the_weights(tmp_path):
    contents = {"state_dict": asteroid(**SIZES), "model_args": {"n_hop": 2}}
    path = write_pth(tmp_path / "w.pth", contents)
    module, variables, _ = load.load_module(path)
    assert module.hop == 2
    assert variables["params"]["lstm_0"]["bias"].shape == (4, 2, 8)


def test_convert_between_our_own_formats(tmp_path, h5):
    load.convert(h5, tmp_path / "a.safetensors", half=True)
    load.convert(tmp_path / "a.safetensors", tmp_path / "folder")
    same(
        load.load_module(tmp_path / "folder")[1],
        load.load_module(tmp_path / "a.safetensors")[1],
    )


def test_load_gives_a_separator(h5):
    separator = xumx_jax.load(h5, niter=0, chunk_seconds=1)
    stems = separator(np.zeros((2, 100), np.float32), rate=44100)
    assert list(stems) == list(SIZES["sources"])
    assert stems["bass"].shape == (2, 100)


def test_names_of_the_zoo(tmp_path, monkeypatch, h5):
    monkeypatch.setattr(assets, "DEMO_FILE", tmp_path / "demo.safetensors")
    load.convert(h5, assets.DEMO_FILE)
    assert load.load_module("demo")[2]["path"] == str(assets.DEMO_FILE)
    # a file called like a model stands behind the model; its path finds it
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    assert load.load_module("demo")[2]["path"] == str(assets.DEMO_FILE)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("x-umxl", "unknown model 'x-umxl'; known: x-umx, .*demo"),
        ("gone.pth", "gone.pth: no such file or folder; wanted weights as"),
        ("some/where", "some/where: no such file or folder"),
        ("w.wav", "unknown model 'w.wav'"),
        ("w" * 5000, "unknown model 'www"),
    ],
)
def test_what_is_not_there_is_named(tmp_path, monkeypatch, wanted, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        load.load_module(wanted)


def test_targets_that_cannot_be_written(tmp_path, h5):
    with pytest.raises(UserError, match=r"w\.pth: can't write \.pth; use a folder or"):
        load.convert(h5, tmp_path / "w.pth")
    load.convert(h5, tmp_path / "m.safetensors")
    with pytest.raises(UserError, match="source and target are the same"):
        load.convert(tmp_path / "m.safetensors", tmp_path / "m.safetensors")
    with pytest.raises(UserError, match=r"w\.h5/x\.safetensors: cannot be written"):
        load.convert(h5, h5 / "x.safetensors")


def test_convert_replaces_a_checkpoint_and_nothing_else(tmp_path, h5):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").touch()
    (tmp_path / "file").write_text("text")
    for name in ("mine", "file"):
        with pytest.raises(UserError, match=f"{name}: exists and is not a checkpoint"):
            load.convert(h5, tmp_path / name)
    assert (tmp_path / "mine" / "diary.txt").exists()
    assert (tmp_path / "file").read_text() == "text"
    (tmp_path / "empty").mkdir()
    for _ in range(2):
        load.convert(h5, tmp_path / "empty")


def test_unknown_kind_is_refused_before_anything_is_written(tmp_path, h5):
    with pytest.raises(UserError, match="unknown kind"):
        load.convert(h5, tmp_path / "m.safetensors", kind="umx-tf")
    with pytest.raises(UserError, match=r"w\.h5: as xumx-aimless"):
        load.convert(h5, tmp_path / "m.safetensors", kind="xumx-aimless")
    assert [path.name for path in tmp_path.iterdir()] == ["w.h5"]


def test_unbuildable_arguments_name_the_model(tmp_path):
    save_model(tmp_path / "m.safetensors", "xumx", {"depth": 3}, {"params": {}})
    with pytest.raises(UserError, match="depth"):
        load.load_module(tmp_path / "m.safetensors")


def run_alone(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True)


def test_front_door_is_light():
    assert set(xumx_jax.__all__) <= set(dir(xumx_jax))
    assert xumx_jax.build("xumx", layers=1).layers == 1
    with pytest.raises(AttributeError, match="biuld"):
        _ = xumx_jax.biuld
    run_alone("import sys, xumx_jax; assert 'jax' not in sys.modules")


def test_safetensors_load_without_orbax_and_other_heavy_packages(tmp_path, h5):
    load.convert(h5, tmp_path / "m.safetensors")
    run_alone(
        f"import sys, xumx_jax; xumx_jax.load({str(tmp_path / 'm.safetensors')!r})\n"
        "heavy = {'orbax', 'torch', 'tensorflow', 'optax', 'h5py', 'ml_collections', 'museval'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
