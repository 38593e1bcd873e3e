"""Weights that announce what they do not hold; the list of all faults is in test_faults.py."""

import json
import pickle
import resource
import struct
import tracemalloc
import zipfile

import h5py
import numpy as np
import pytest
from foreign import SIZES, nnabla, write_h5, write_pth
from refused import convert
from safetensors.numpy import save_file

from xumx_jax.errors import UserError
from xumx_jax.weights import load, safetensors
from xumx_jax.weights.converters import readers

LARGE = 10**10


def header(tensors, data=b"", length=None):
    """A .safetensors file from what its header says."""
    stated = json.dumps(tensors).encode() if not isinstance(tensors, bytes) else tensors
    return struct.pack("<Q", len(stated) if length is None else length) + stated + data


def tensor(shape, begin, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


HEADERS = {
    "10 GB of header": header({"a": tensor([1], 0, 4)}, bytes(4), length=LARGE),
    "2^64 of header": header({"a": tensor([1], 0, 4)}, bytes(4), length=2**64 - 1),
    "no header": header(b"{", length=1),
    "no json": header(b'{"a": [}' + b" " * 8),
    "no utf-8": header(b'{"\xff\xfe": 1}'),
    "10 GB of a tensor": header({"a": tensor([LARGE // 4], 0, LARGE)}, bytes(40)),
    "shape and bytes differ": header({"a": tensor([LARGE], 0, 4)}, bytes(4)),
    "sizes that overflow": header({"a": tensor([2**33, 2**33], 0, 4)}, bytes(4)),
    "offsets backwards": header({"a": tensor([1], 4, 0)}, bytes(4)),
    "offsets that overlap": header({"a": tensor([1], 0, 4), "b": tensor([1], 2, 6)}, bytes(6)),
    "a hole": header({"a": tensor([1], 4, 8)}, bytes(8)),
    "more than it says": header({"a": tensor([1], 0, 4)}, bytes(400)),
    "negative": header({"a": tensor([-1], 0, 4)}, bytes(4)),
    "unknown type": header({"a": tensor([1], 0, 4, "F99")}, bytes(4)),
    "tensors that are a list": header([1, 2], bytes(4)),
    "deep json": header(b'{"a":' + b"[" * 10000 + b"]" * 10000 + b"}"),
}


def bounded(call):
    """Call it; fail if it asked for more than 200 MB."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    try:
        call()
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert peak < 2e8 and (after - before) * 1024 < 2e8


@pytest.mark.parametrize("kind", HEADERS)
def test_row_24_headers(tmp_path, capsys, kind):
    path = tmp_path / "x.safetensors"
    path.write_bytes(HEADERS[kind])
    bounded(lambda: convert(path, tmp_path, capsys))


@pytest.mark.parametrize(
    "said",
    [
        "no json",
        "[1]",
        "3",
        {"name": "umx"},
        {"name": "umx", "args": 3, "info": {}},
        {"name": "umx", "args": {}, "info": [1]},
        {"name": "nothing", "args": {}, "info": {}},
        {"name": "umx", "args": {"colour": 1}, "info": {}},
    ],
)
def test_row_24_descriptions_of_our_own_files(tmp_path, said):
    """Also where the digest is right."""
    path, tensors = tmp_path / "x.safetensors", {"params/a": np.ones(3, np.float32)}
    if isinstance(said, dict):
        said = json.dumps({**said, "sha256": safetensors.tensors_digest(tensors)})
    save_file(tensors, path, {"xumx_jax": said})
    with pytest.raises(UserError) as caught:
        load.load_module(path)
    assert "\n" not in str(caught.value)


def promising(path, kind):
    """Write a small file that promises a large tensor."""
    if kind == "never written":
        with h5py.File(path, "w") as file:
            file.create_dataset("fc1_bass/affine/W", (LARGE // 4,), "f4")
    elif kind == "compressed":
        with h5py.File(path, "w") as file:
            file.create_dataset("a", data=np.zeros(2**24, np.uint8), compression=9)
    elif kind == "too large for any memory":
        with h5py.File(path, "w") as file:
            file.create_dataset("a", (2**40, 2**10), "f4", chunks=(1024, 1024))
    elif kind == "many names of one tensor":
        one = np.zeros(2**16, np.float32)
        with h5py.File(path, "w") as file:
            file["a0"] = one
            for count in range(1, 2000):
                file[f"a{count}"] = h5py.SoftLink("/a0")
                file[f"b{count}"] = file["a0"]
    elif kind == "a .zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("vocals.h5", bytes(2**24))
    elif kind == "a .zip of PyTorch":
        write_pth(path, {"a": np.zeros(2**21, np.float32)})
        with zipfile.ZipFile(path) as file:
            inside = {name: file.read(name) for name in file.namelist()}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name, data in inside.items():
                file.writestr(name, data)
    elif kind == "one element again and again":
        wide = np.zeros(3, np.float32)
        write_pth(path, {"a": np.lib.stride_tricks.as_strided(wide, (3,), (4,))})
        with zipfile.ZipFile(path) as file:
            inside = {name: file.read(name) for name in file.namelist()}
        data = inside["archive/data.pkl"].replace(b"K\x03\x85", b"J\x00\x00\x00\x60\x85")
        assert data != inside["archive/data.pkl"]
        inside["archive/data.pkl"] = data.replace(b"K\x01\x85", b"K\x00\x85")
        with zipfile.ZipFile(path, "w") as file:
            for name, content in inside.items():
                file.writestr(name, content)
    else:
        magic = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)
        system = pickle.dumps({"little_endian": True}, 2)
        body = {
            "a long text": b"\x80\x04\x8d" + struct.pack("<Q", LARGE) + b"abc",
            "a long array": b"\x80\x05\x96" + struct.pack("<Q", LARGE) + b"abc",
            "a long frame": b"\x80\x04\x95" + struct.pack("<Q", LARGE) + b"abc",
            "a far place": b"\x80\x02]r\xff\xff\xff\x7f.",
        }[kind]
        path.write_bytes(magic + system + body)


PROMISES = {
    **{"never written": "h5", "compressed": "h5", "too large for any memory": "h5"},
    **{"many names of one tensor": "h5", "a .zip": "zip", "a .zip of PyTorch": "pth"},
    **{"one element again and again": "pth", "a long text": "pth", "a long array": "pth"},
    **{"a long frame": "pth", "a far place": "pth"},
}


@pytest.mark.parametrize("kind", PROMISES)
def test_row_24_promises(tmp_path, capsys, kind):
    path = tmp_path / f"x.{PROMISES[kind]}"
    promising(path, kind)
    bounded(lambda: convert(path, tmp_path, capsys))


def test_row_24_flipped_bits(tmp_path):
    """Each is noticed, or was in nothing that is read; none ends the program."""
    whole = write_h5(tmp_path / "w.h5", nnabla(**SIZES)).read_bytes()
    path = tmp_path / "x.h5"
    for at in range(0, 4000, 211):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            readers.read(path)
        except UserError as error:
            assert "x.h5" in str(error) and "\n" not in str(error)
