"""Weights whose loading would run a program; the list of all faults is in test_faults.py."""

import io
import json
import os
import pickle
import re
import struct
import sys
import zipfile

import numpy as np
import pytest
from foreign import SIZES, draw, nnabla, write_pth, write_th
from refused import convert

from xumx_jax import cli
from xumx_jax.errors import UserError
from xumx_jax.files import digest, digest_of_value
from xumx_jax.weights import store
from xumx_jax.weights.bag import save_model
from xumx_jax.weights.converters import readers


def text(value):
    """A string of any length, as protocol 2 writes it."""
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def payloads(command):
    """{kind: pickle that runs a shell command, or tries to, when it is loaded}."""
    word, code = text(command), text(f"__import__('os').system({command!r})")
    return {
        "global and reduce": b"\x80\x02cos\nsystem\n" + word + b"\x85R.",
        "as PyTorch writes names": b"\x80\x02cposix\nsystem\n" + word + b"\x85R.",
        "stack global": b"\x80\x04" + text("os") + text("system") + b"\x93" + word + b"\x85R.",
        "a part of a name": (
            b"\x80\x04" + text("shutil") + text("os.system") + b"\x93" + word + b"\x85R."
        ),
        "instance": b"\x80\x02(" + word + b"ios\nsystem\n.",
        "object": b"\x80\x02(cos\nsystem\n" + word + b"o.",
        "new object": b"\x80\x02csubprocess\nPopen\n(" + word + b"I-1\nNI1\nNNNI1\nt\x81.",
        "build": b"\x80\x02cos\nsystem\n)\x81}" + text("__setstate__") + b"cos\nsystem\nsb"
        + word + b"b.",
        "eval": b"\x80\x02cbuiltins\neval\n" + code + b"\x85R.",
        "python 2": b"\x80\x02c__builtin__\neval\n" + code + b"\x85R.",
        "getattr": b"\x80\x02cbuiltins\ngetattr\ncposix\nsystem\n" + text("__call__") + b"\x86R"
        + word + b"\x85R.",
        "another pickle": b"\x80\x02cpickle\nloads\n" + b"B"
        + struct.pack("<I", len(word) + 20) + b"\x80\x02cos\nsystem\n   " + word + b".\x85R.",
        "persistent id": b"\x80\x02(cos\nsystem\n" + word + b"\x85RX\x01\x00\x00\x000tQ.",
        "extension": b"\x80\x02\x82\x01" + word + b"\x85R.",
        "a name of PyTorch's": b"\x80\x02ctorch.serialization\nload\n" + word + b"\x85R.",
        "a method of a type": b"\x80\x02coperator\nmethodcaller\n" + text("system") + word
        + b"\x86Rcos\n_exit\n\x85R.",
    }  # fmt: skip


def archive(data, name="archive/data.pkl", **more):
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as file:
        file.writestr(name, data)
        for inner, content in more.items():
            file.writestr(inner, content)
    return raw.getvalue()


@pytest.mark.parametrize("kind", payloads(""))
def test_row_23_payloads(tmp_path, capsys, kind):
    """As a file of its own, in PyTorch's new and old format, and in a .zip inside of a .zip."""
    ran = tmp_path / "ran"
    payload = payloads(f"touch {ran}")[kind]
    magic = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)
    system = pickle.dumps({"little_endian": True}, 2)
    forms = {
        "bare.pth": payload,
        "new.pth": archive(payload),
        "old.pth": magic + system + payload,
        "older.pth": magic + payload,
        "nested.pth": archive(archive(payload)),
        "beside.pth": archive(pickle.dumps({}, 2), **{"archive/constants.pkl": payload}),
        "renamed.h5": payload,
        "renamed.safetensors": archive(payload),
    }
    for name, data in forms.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(UserError, match=name):
            readers.read(path)
        assert not ran.exists(), name
    said = convert(tmp_path / "new.pth", tmp_path, capsys)
    if kind in ("global and reduce", "stack global", "instance", "eval", "new object", "build"):
        assert "hostile" in said


def test_row_23_a_payload_beside_good_weights(tmp_path):
    """What is not known is not run, known as an attack or not."""
    ran = tmp_path / "ran"
    good = write_pth(tmp_path / "good.pth", {"state_dict": nnabla(**SIZES)})
    wanted = readers.read(good).tensors
    with zipfile.ZipFile(good) as file:
        inside = {name: file.read(name) for name in file.namelist()}
    for kind, payload in payloads(f"touch {ran}").items():
        # {"x": payload, "state_dict": ...}: the payload's value is thrown away
        body = payload[2:-1] + b"0" + inside["archive/data.pkl"][2:]
        path = tmp_path / "mixed.pth"
        with zipfile.ZipFile(path, "w") as file:
            for name, data in inside.items():
                file.writestr(name, data if "data.pkl" not in name else b"\x80\x04" + body)
        try:
            found = readers.read(path).tensors
        except UserError:
            found = wanted
        assert not ran.exists(), kind
        assert set(found) == set(wanted)


@pytest.mark.parametrize(
    "call", ["os.system", "builtins.eval", "subprocess.Popen", "runpy.run_path"]
)
def test_row_23_a_class_that_is_none(tmp_path, capsys, call):
    """Demucs's files name the class of their model, which its program then calls."""
    path = write_th(tmp_path / "a.th", draw({"a": (3,)}), klass=call, command="touch ran")
    said = convert(path, tmp_path, capsys)
    assert re.search(rf"hostile: unpickled by others, it would run \w+\.{call.split('.')[1]}", said)


def test_row_23_a_class_of_any_program_is_only_a_name(tmp_path):
    path = write_th(tmp_path / "a.th", draw({"a": (3,)}), klass="somebody.models.Net", depth=3)
    found = readers.read(path)
    assert found.info["class"] == "somebody.models.Net" and found.info["kwargs"] == {"depth": 3}
    assert "somebody" not in sys.modules


def shared(kind, depth=20):
    """Containers that each hold the one before twice: a pickle writes each once."""
    inner = kind((("a", 1),))
    for _ in range(depth):
        inner = kind((("a", inner), ("b", inner)))
    return inner


@pytest.mark.parametrize("kind", [list, dict])
@pytest.mark.parametrize("place", ["arguments", "tensors"])
def test_row_23_values_that_are_named_over_and_over(tmp_path, capsys, kind, place):
    """Kilobytes that would be a million values, were each copied wherever it is named."""
    state, nested = draw({"a": (3,)}), shared(kind)
    path = tmp_path / "a.th"
    if place == "arguments":
        write_th(path, state, x=nested)
    else:
        write_pth(path, {"state_dict": state | {"x": shared(dict)}, "more": nested})
    assert path.stat().st_size < 10_000
    said = convert(path, tmp_path, capsys)
    assert "a.th: it names more than 100000 values, one within another" in said


def test_row_23_names_that_grow(tmp_path, capsys):
    """One long name, within itself again and again."""
    state = inner = {}
    for _ in range(20):
        inner["n" * 1000] = inner = {}
    inner["w"] = np.ones(3, np.float32)
    path = write_pth(tmp_path / "a.pth", {"state_dict": state})
    assert "a.pth: a tensor's name of 10009 letters" in convert(path, tmp_path, capsys)


def test_row_23_pickles_elsewhere(tmp_path, capsys):
    """In the files of a checkpoint folder, digests made to fit, and where numpy would look."""
    ran = tmp_path / "ran"
    payload = payloads(f"touch {ran}")["global and reduce"]
    module = {"hidden_size": 8, "n_fft": 16, "hop": 4}
    folder = tmp_path / "model"
    save_model(folder, "umx", module, {"params": {"a": np.ones(3, np.float32)}})
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    assert len(files) > 3
    for path in files:
        before = path.read_bytes()
        path.write_bytes(payload)
        manifest = json.loads((folder / store.MANIFEST).read_text()) if (
            path.name != store.MANIFEST
        ) else None  # fmt: skip
        if manifest:
            kept = (folder / store.MANIFEST).read_text()
            manifest["files"][path.relative_to(folder).as_posix()] = digest(path)
            body = {name: value for name, value in manifest.items() if name != "sha256"}
            manifest["sha256"] = digest_of_value(body)
            (folder / store.MANIFEST).write_text(json.dumps(manifest))
        status = cli.main(["convert", str(folder), str(tmp_path / "out.safetensors")])
        said = capsys.readouterr().err
        assert not ran.exists(), path
        assert status == 0 or said.count("\n") == 1, said
        (tmp_path / "out.safetensors").unlink(missing_ok=True)
        path.write_bytes(before)
        if manifest:
            (folder / store.MANIFEST).write_text(kept)
    objects = np.array([{"a": 1}], dtype=object)
    np.save(tmp_path / "x.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "x.npz", objects)
    for name in ("x.npy", "x.npz"):
        os.rename(tmp_path / name, tmp_path / f"{name}.pth")
        convert(tmp_path / f"{name}.pth", tmp_path, capsys)
