"""Weight files of other programs: what comes out, and that damaged ones are refused by name."""

import importlib
import os
import pickle
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from foreign import draw, write_h5, write_pth
from safetensors.numpy import save_file

from xumx_jax.errors import UserError
from xumx_jax.weights.converters.readers import read

TORCH_FILES = Path(__file__).parents[1] / "torch_files"
TENSORS = draw({"b/W": (3, 4), "a": (5,)})


def write_safetensors(path, tensors):
    save_file(tensors, path, {"sources": '["x"]', "note": "by hand"})
    return path


def some_files(folder):
    return (
        write_h5(folder / "w.h5", TENSORS),
        write_safetensors(folder / "w.safetensors", TENSORS),
        write_pth(folder / "w.pth", TENSORS),
        *sorted(TORCH_FILES.glob("*.pth")),
    )


def test_all_formats_give_the_same_tensors(tmp_path):
    for path in some_files(tmp_path)[:3]:
        found = read(path)
        assert set(found.tensors) == set(TENSORS)
        for name, tensor in TENSORS.items():
            np.testing.assert_array_equal(found.tensors[name], tensor)
    assert list(read(tmp_path / "w.h5").tensors) == ["b/W", "a"]  # the order of creation
    assert read(tmp_path / "w.safetensors").info == {"sources": ["x"], "note": "by hand"}


def test_a_header_that_begins_like_a_pickle(tmp_path):
    """Its length is the first byte of the file: here 128, as of pickles since protocol 2."""
    path, count = tmp_path / "w.safetensors", 0
    while not path.exists() or path.read_bytes()[:1] != b"\x80":
        save_file(TENSORS, path, {"note": "x" * count})
        count += 8
    assert set(read(path).tensors) == set(TENSORS)


def test_doubles_become_floats_and_counters_stay(tmp_path):
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["double"], file["count"] = np.ones(2), np.int64(3)
    found = read(tmp_path / "w.h5").tensors
    assert found["double"].dtype == np.float32
    assert found["count"] == 3 and found["count"].dtype == np.int64


@pytest.mark.parametrize("name", ["zip.pth", "legacy.pth"])
def test_files_of_torch_itself(name):
    found = read(TORCH_FILES / name)
    base = (np.arange(24) / 8).astype(np.float32)
    wanted = {
        "whole": base.reshape(4, 6),
        "turned": base.reshape(4, 6).T,
        "part": base.reshape(4, 6)[1:3, 2:5],
        "every_third": base[1::3],
        "double": base,
        "half": base,
        "brain": base,
        "parameter": base[:3],
        "expanded": np.full((3, 2), base[5]),
        "count": np.array(7),
        "none": np.zeros((0, 3), np.float32),
    }
    assert list(found.tensors) == list(wanted)
    for key, value in wanted.items():
        assert found.tensors[key].dtype == value.dtype
        np.testing.assert_array_equal(found.tensors[key], value)
    assert found.info["model_args"] == {"sources": ["a", "b"], "n_hop": 16, "window": None}
    assert found.info["options"] is None  # an object of another class
    assert found.info["optimizer"] == {"lr": 0.5, "steps": [None]}


def test_nothing_that_a_pickle_names_is_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    path = tmp_path / "evil.pth"
    for contents in (Evil(), {"state_dict": Evil()}):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(contents, protocol=2))
        with pytest.raises(UserError, match="evil.pth"):
            read(path)
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(UserError, match="evil.pth"):
        read(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("call", ["os.system", "builtins.eval", "subprocess.Popen"])
def test_hostile_files_are_refused_even_with_weights_in_them(tmp_path, call):
    module, name = call.split(".")
    function = getattr(importlib.import_module(module), name)
    ran = tmp_path / "ran"
    code = f"open({str(ran)!r}, 'w')" if name == "eval" else f"touch {ran}"

    class Evil:
        def __reduce__(self):
            return function, (code,)

    path = write_pth(tmp_path / "evil.pth", {"state_dict": TENSORS, "options": Evil()})
    with pytest.raises(
        UserError, match=rf"evil\.pth: .*hostile: .*would run \w+\.{name}"
    ) as caught:
        read(path)
    assert "\n" not in str(caught.value) and not ran.exists()


def test_view_beyond_its_storage_is_refused(tmp_path):
    path = write_pth(tmp_path / "w.pth", {"state_dict": {"a": np.ones(5, np.float32)}})
    with zipfile.ZipFile(path) as archive:
        contents = archive.read("archive/data.pkl")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", contents)
        archive.writestr("archive/data/0", bytes(16))  # 4 numbers where the view wants 5
    with pytest.raises(UserError, match=r"w\.pth.*\(5,\) does not fit in its storage of 4"):
        read(path)


def test_every_cut_is_noticed(tmp_path):
    for path in some_files(tmp_path):
        data = path.read_bytes()
        cut = tmp_path / f"cut-{path.name}"
        for length in {*range(0, len(data), max(1, len(data) // 25)), len(data) - 1}:
            cut.write_bytes(data[:length])
            with pytest.raises(UserError, match=cut.name) as caught:
                read(cut)
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("empty.h5", b"", "empty"),
        ("page.pth", b"<!DOCTYPE html><title>404</title>", "not a weights file"),
        ("audio.wav", b"RIFF....WAVEfmt ", "not a weights file"),
        ("other.pth", pickle.dumps({"a": np.ones(2)}), "not written by torch.save"),
    ],
)
def test_files_of_other_kinds_are_refused(tmp_path, name, data, reason):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=f"{name}.*{reason}"):
        read(tmp_path / name)


def test_missing_file_and_file_without_tensors(tmp_path):
    with pytest.raises(UserError, match="gone.h5: no such file"):
        read(tmp_path / "gone.h5")
    with pytest.raises(UserError, match="none.pth: no tensors"):
        read(write_pth(tmp_path / "none.pth", {"epoch": 3}))
