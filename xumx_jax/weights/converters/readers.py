"""Read weight files of other programs as flat {name: array}, without those programs."""

import itertools
import json
import math
import pickle
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from safetensors import SafetensorError

from xumx_jax.errors import UserError
from xumx_jax.weights.converters import onnxfile, torchfile

WANTED = (
    "wanted weights as .h5 (NNabla), .pth / .ckpt / .th (PyTorch), .safetensors, .onnx (MDX-Net) "
    "or an Orbax folder"
)
SUFFIXES = (".h5", ".hdf5", ".pth", ".pt", ".th", ".ckpt", ".bin", ".safetensors", ".onnx", ".zip")
EXPANSION = 64  # tensors may be at most this many times as large as their file
# What libraries raise on a damaged file; anything else is an error of ours. A damaged pickle calls
# what it names with whatever it holds, and HDF5 may name types that NumPy does not have.
DAMAGE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
)
DAMAGE += (TypeError, ValueError, pickle.UnpicklingError, struct.error, zipfile.BadZipFile)
DAMAGE += (zlib.error, SafetensorError)
# What a pickle of some hundred bytes names over and over would take all time and memory, were it
# copied wherever it is named. Training states have some ten thousand values, names 200 letters.
VALUES, NAME = 100_000, 10_000
# Keys under which programs save the arguments of their models; and keys with which `info` is
# completed here, which no file sets.
ARGUMENTS, OURS = (
    ("kwargs", "model_args"),
    (
        "settings",
        "targets",
        "configuration",
        "separation",
    ),
)
# Keys under which PyTorch programs save the tensors if they save other things as well.
WRAPPERS = ("state_dict", "model_state_dict", "model", "state")
QUANTISED = (
    "its weights are quantised (DiffQ), which is not supported; use the models that are not, such "
    "as mdx instead of mdx_q and mdx_extra instead of mdx_extra_q"
)


@dataclass(frozen=True)
class Weights:
    """What a file holds: `tensors`, floats as float32, and `info`, other plain values.

    If the file says which class its model is (Demucs's do), `info` has that as "class", a name such
    as "demucs.hdemucs.HDemucs", and what it was made with as "args" and "kwargs". "kwargs" and
    "model_args" are dicts or None; their "sources", if there are any, a list of texts.
    """

    path: Path
    tensors: dict[str, np.ndarray]
    info: dict[str, Any] = field(default_factory=dict)


def read(path: str | Path) -> Weights:
    """Read a weights file; its first bytes say which format it is.

    Raises UserError naming the file if it is missing, empty, cut off or in another format.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file; {WANTED}")
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    if not start:
        raise UserError(f"{path}: the file is empty; {WANTED}")
    # .safetensors: JSON comes after its length, 8 bytes, which may be those that others begin with
    if start[8:] == b"{":
        reader = read_safetensors
    elif start.startswith(b"\x89HDF"):
        reader = read_h5
    elif start.startswith(b"PK") or start.startswith(b"\x80"):
        reader = read_torch
    elif path.suffix.lower() == ".onnx":  # which begins with nothing that is always the same
        reader = read_onnx
    else:
        raise UserError(f"{path}: not a weights file; {WANTED}")
    try:
        with warnings.catch_warnings():
            # of escape sequences in the strings of a damaged pickle
            warnings.simplefilter("ignore", DeprecationWarning)
            weights = reader(path)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except DAMAGE as error:
        raise damaged(path, error) from error
    if not weights.tensors:
        raise UserError(f"{path}: no tensors in it; {WANTED}")
    return weights


def damaged(path: Path, error: Exception) -> UserError:
    """What to say of a file on which a library raised one of DAMAGE."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return UserError(f"{path}: cannot be read, cut off or damaged ({reason})")


def as_float32(tensor: np.ndarray) -> np.ndarray:
    """Convert floats of any width to float32; leave the rest (counters) as it is."""
    return tensor.astype(np.float32) if tensor.dtype.kind == "f" else tensor


def check_size(path: Path | str, stated: int, size: int | None = None) -> None:
    """Raise ValueError if a file of `size` bytes (None: its own size) claims far larger tensors.

    HDF5 and zip compress, and HDF5 may declare arrays that it does not contain: a few bytes could
    take all memory. Weights hardly compress.
    """
    size = Path(path).stat().st_size if size is None else size
    if stated > EXPANSION * size + 2**20:
        raise ValueError(f"{size} bytes that promise tensors of {stated}")


def read_h5(path: Path) -> Weights:
    """Read NNabla's `.h5`."""
    with path.open("rb") as file:
        return Weights(path, h5_tensors(file, path.stat().st_size))


def h5_tensors(file: BinaryIO, size: int) -> dict[str, np.ndarray]:
    """One dataset per parameter, in the order they were created; `size` is that of the file."""
    import h5py

    found = []

    def visit(name, node):
        if isinstance(node, h5py.Dataset):
            found.append((int(node.attrs.get("index", len(found))), name, node))

    with h5py.File(file, "r") as opened:
        opened.visititems(visit)
        check_size("", sum(node.nbytes for _, _, node in found), size)
        found.sort(key=lambda row: row[0])
        return {name: as_float32(node[()]) for _, name, node in found}


def read_safetensors(path: Path) -> Weights:
    """Read any `.safetensors`; metadata that is JSON is parsed.

    Demucs describes the model in the metadata, and in a `.json` of the same name.
    """
    from safetensors import safe_open

    with safe_open(path, "np") as file:
        tensors = {name: as_float32(file.get_tensor(name)) for name in file.keys()}
        said = file.metadata() or {}
    beside = path.with_suffix(".json")
    if "klass" not in said and beside.is_file():
        found = parse(beside.read_text())
        said |= found if isinstance(found, dict) and "klass" in found else {}
    if "structure" in said and "klass" in said:
        raise UserError(QUANTISED)
    info = {key: parse(text) if isinstance(text, str) else text for key, text in said.items()}
    return Weights(path, tensors, described(info))


def parse(text: str) -> Any:
    """What a text says in JSON, else the text; Demucs's fractions become numbers."""
    try:
        return json.loads(text, object_hook=fraction)
    except ValueError:
        return text


def fraction(found: dict) -> Any:
    """The number that an object of JSON stands for, if it is a fraction; else the object."""
    if found.get("_type") != "fraction":
        return found
    return torchfile.as_number(int(found["numerator"]), int(found["denominator"]))


def described(info: dict) -> dict:
    """What a file says of its model, with Demucs's "klass", its class, as "class", in one line.

    Raises UserError unless arguments have names, and sources are a list of names.
    """
    found = {key: value for key, value in info.items() if key not in OURS}
    for place in ARGUMENTS:
        given = found.get(place)
        if given is not None and not isinstance(given, dict):
            raise UserError(f"its {place} are no arguments by name, but {shown(given)}")
        sources = (given or {}).get("sources")
        named = isinstance(sources, list) and all(isinstance(name, str) for name in sources)
        if sources is not None and not named:
            raise UserError(f"its {place} give as sources {shown(sources)}; wanted a list of names")
    if "klass" in found:
        found["class"] = found.pop("klass")
    if "class" in found:
        found["class"] = shown(found["class"])
    return found


def shown(value: Any) -> str:
    """A short text, in one line."""
    text = "".join(each if each.isprintable() else " " for each in str(value)[:200])
    return " ".join(text.split())


def read_torch(path: Path) -> Weights:
    """Read a file of `torch.save`: a state_dict, or a dict with one among other things."""
    with path.open("rb") as file:
        check_size(path, unzipped_size(file))
        contents, fetch = torchfile.load(file)
        if not isinstance(contents, dict):
            raise ValueError("it holds no state_dict; torch.save(model.state_dict()) makes one")
        wrappers = [key for key in WRAPPERS if isinstance(contents.get(key), dict)]
        inside = contents[wrappers[0]] if wrappers else contents
        if "klass" in contents and (inside.get("__quantized") or "quantized" in inside):
            raise UserError(QUANTISED)
        named = dict(named_tensors(inside))
        # views of one storage, and such that repeat an element, may have any size
        check_size(path, 4 * sum(math.prod(map(int, tensor.shape)) for tensor in named.values()))
        tensors = {name: tensor.read(fetch) for name, tensor in named.items()}
    info = plain({key: value for key, value in contents.items() if value is not inside})
    return Weights(path, tensors, described(info))


def read_onnx(path: Path) -> Weights:
    """Read the weights of an `.onnx` file, named by the order of its nodes."""
    tensors, info = onnxfile.read_tensors(path)
    return Weights(path, tensors, info)


def unzipped_size(file: BinaryIO) -> int:
    """Bytes of the files in a .zip; 0 for another file."""
    if not zipfile.is_zipfile(file):
        file.seek(0)
        return 0
    size = sum(info.file_size for info in zipfile.ZipFile(file).infolist())
    file.seek(0)
    return size


def named_tensors(tree: dict, prefix: str = "", count=None):
    """Yield (name, Tensor) of nested dicts, names joined by dots.

    Raises UserError on more than VALUES of them, and on a name longer than NAME.
    """
    count = count or itertools.count(1)
    for key, value in tree.items():
        if not isinstance(key, str | int):
            continue
        counted(count)
        name = f"{prefix}{key}"
        if len(name) > NAME:
            raise UserError(f"a tensor's name of {len(name)} letters")
        if isinstance(value, torchfile.Tensor):
            yield name, value
        elif isinstance(value, dict):
            yield from named_tensors(value, f"{name}.", count)


def plain(value: Any, count=None) -> Any:
    """Keep what JSON could hold of nested containers, classes as names; None for the rest.

    Raises UserError on more than VALUES of them.
    """
    count = count or itertools.count(1)
    counted(count)
    if isinstance(value, dict):
        return {
            str(key): plain(inner, count)
            for key, inner in value.items()
            if isinstance(key, str | int | float)
        }
    if isinstance(value, list | tuple):
        return [plain(inner, count) for inner in value]
    if isinstance(value, type) and issubclass(value, torchfile.Inert):
        return value.names
    return value if isinstance(value, str | int | float | bool) else None


def counted(count: Iterator[int]) -> None:
    if next(count) > VALUES:
        raise UserError(f"it names more than {VALUES} values, one within another")
