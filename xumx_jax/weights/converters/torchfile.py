"""Read PyTorch's checkpoint files without PyTorch, and without running anything that they name.

A `.pth` is a pickle, and unpickling calls whatever the pickle names. Here the names of PyTorch's
tensors build plain records; every other name becomes an inert placeholder that only knows what it
stands for, and a file that names something only an attack would call is refused. So is one that
would exhaust memory by announcing more than it holds.
"""

import io
import os
import pickle
import pickletools
import re
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import numpy as np

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # first pickle of a file written before PyTorch 1.6
LARGEST = 2**31  # elements in one tensor; strides of 0 could ask for any number
BFLOAT16 = "bfloat16"
DTYPES = {
    "FloatStorage": "f4",
    "DoubleStorage": "f8",
    "HalfStorage": "f2",
    "BFloat16Storage": BFLOAT16,
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}

# No checkpoint needs these; names that are not listed are inert all the same. PyTorch writes names
# as in Python 2, where functions of today's subprocess were in commands.
HOSTILE_MODULES = frozenset(
    "os posix nt subprocess commands sys shutil socket importlib runpy pty ctypes pickle".split()
)
HOSTILE_BUILTINS = frozenset("eval exec execfile compile open __import__".split())


class Inert:
    """Stands for an object of an unknown class; accepts everything and does nothing."""

    names = ""  # the class, as "module.Class"

    def __new__(cls, *args, **kwargs):
        return object.__new__(cls)

    def __init__(self, *args, **kwargs):
        pass

    def __call__(self, *args, **kwargs):
        return self

    def __setstate__(self, state):
        pass

    def __setitem__(self, key, value):
        pass

    def append(self, item):
        pass

    def extend(self, items):
        pass

    def add(self, item):
        pass


@dataclass(frozen=True, slots=True)
class Storage:
    """A flat run of numbers in the file; `key` finds its bytes."""

    dtype: str
    key: str
    length: int


@dataclass(frozen=True, slots=True)
class Tensor:
    """A strided view of a storage, not read yet."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def read(self, fetch: Callable[[Storage], np.ndarray]) -> np.ndarray:
        """Copy the view; `fetch` returns the storage as a flat array. Floats become float32."""
        flat = fetch(self.storage)
        shape, strides = self.shape, self.strides
        last = self.offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
        size = int(np.prod([int(n) for n in shape], dtype=object))
        native = np.float32 if flat.dtype.kind == "f" else flat.dtype.newbyteorder("=")
        if size == 0:
            return np.zeros(shape, native)
        if min((self.offset, *shape, *strides)) < 0 or last >= flat.size or size > LARGEST:
            raise ValueError(f"a tensor {shape} does not fit in its storage of {flat.size}")
        view = np.lib.stride_tricks.as_strided(
            flat[self.offset :], shape, [s * flat.itemsize for s in strides]
        )
        return np.array(view, native)


class Bounded:
    """A file that refuses to read more than it has, since Python allocates memory for it first."""

    def __init__(self, file: BinaryIO):
        self.file, self.end = file, file.seek(0, os.SEEK_END)
        file.seek(0)
        self.readline, self.seek, self.tell = file.readline, file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        left = self.end - self.file.tell()
        return self.file.read(left if size < 0 else min(size, left))


def check_pickle(file: BinaryIO) -> None:
    """Check a pickle's instructions without executing them; `file` is then at its start again."""
    begin = file.tell()
    for count, (code, argument, _) in enumerate(pickletools.genops(file)):
        if code.name in ("PUT", "BINPUT", "LONG_BINPUT") and (argument or 0) > count:
            raise pickle.UnpicklingError(f"hostile: it asks for room for {argument} objects")
    file.seek(begin)


class Unpickler(pickle.Unpickler):
    """Builds `Tensor`s and plain containers; see the module's docstring."""

    def __init__(self, file: BinaryIO):
        check_pickle(file)
        super().__init__(file)
        self.storages: dict[str, Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        # New functions and classes each time: a pickle may set attributes on what it gets.
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        if (module, name) == ("torch", "Size"):
            return lambda sizes=(): tuple(sizes)
        if module == "torch._utils":
            if name in ("_rebuild_tensor", "_rebuild_tensor_v2"):
                return lambda storage, offset, shape, strides, *_: Tensor(
                    storage, offset, tuple(shape), tuple(strides)
                )
            if name in ("_rebuild_parameter", "_rebuild_parameter_with_state"):
                return lambda tensor, *_: tensor
        if module in HOSTILE_MODULES or (
            module in ("builtins", "__builtin__") and name in HOSTILE_BUILTINS
        ):
            raise pickle.UnpicklingError(
                f"hostile: unpickled by others, it would run {module}.{name}"
            )
        if (module, name) == ("fractions", "Fraction"):
            return lambda *parts: as_number(*parts)
        return type(name, (Inert,), {"names": f"{module}.{name}"})

    def persistent_load(self, pid: tuple) -> Storage:
        kind, dtype, key, _, length, *view = pid
        if kind != "storage" or any(view):
            raise pickle.UnpicklingError(f"unknown kind of storage {kind!r}")
        # A dtype that we don't know is an inert class by now: it fails when read, if it is read.
        storage = Storage(dtype if isinstance(dtype, str) else "unknown", str(key), int(length))
        return self.storages.setdefault(storage.key, storage)


def as_number(numerator: int | str, denominator: int = 1) -> int | float:
    """The value of a `fractions.Fraction`, pickled as "39/5" or as 39 and 5."""
    if isinstance(numerator, str):
        parts = re.fullmatch(r"(-?\d{1,18})(?:/(\d{1,18}))?", numerator)
        if parts is None:
            raise ValueError("not a fraction")
        numerator, denominator = int(parts[1]), int(parts[2] or 1)
    return numerator if denominator == 1 else numerator / denominator


def as_numbers(data: bytes, dtype: str, order: str) -> np.ndarray:
    """Interpret bytes; bfloat16 is the upper half of a float32."""
    if dtype == BFLOAT16:
        return (np.frombuffer(data, f"{order}u2").astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(data, f"{order}{dtype}")


def load(file: BinaryIO) -> tuple[Any, Callable[[Storage], np.ndarray]]:
    """Unpickle a PyTorch file -> (contents, reader of their storages while the file is open)."""
    magic = file.read(2)
    file.seek(0)
    return load_zip(file) if magic == b"PK" else load_legacy(cast(BinaryIO, Bounded(file)))


def load_zip(file: BinaryIO) -> tuple[Any, Callable[[Storage], np.ndarray]]:
    """Load what PyTorch 1.6 or later wrote: a zip of one pickle and one file per storage."""
    archive = zipfile.ZipFile(file)
    pickles = [name for name in archive.namelist() if name.endswith("data.pkl")]
    if len(pickles) != 1:
        raise ValueError("a zip file without one data.pkl (TorchScript, or not from PyTorch)")
    root = pickles[0].removesuffix("data.pkl")
    order = "<"
    if f"{root}byteorder" in archive.namelist() and archive.read(f"{root}byteorder") == b"big":
        order = ">"

    def fetch(storage: Storage) -> np.ndarray:
        return as_numbers(archive.read(f"{root}data/{storage.key}"), storage.dtype, order)

    return Unpickler(io.BytesIO(archive.read(pickles[0]))).load(), fetch


def load_legacy(file: BinaryIO) -> tuple[Any, Callable[[Storage], np.ndarray]]:
    """Load what PyTorch before 1.6 wrote: several pickles, then the numbers of every storage."""
    if Unpickler(file).load() != LEGACY_MAGIC:
        raise ValueError("not written by torch.save")
    _protocol, system = Unpickler(file).load(), Unpickler(file).load()
    order = "<" if system["little_endian"] else ">"
    unpickler = Unpickler(file)
    contents = unpickler.load()
    numbers = {}
    for key in Unpickler(file).load():
        storage = unpickler.storages[str(key)]
        width = 2 if storage.dtype == BFLOAT16 else np.dtype(storage.dtype).itemsize
        (length,) = struct.unpack(f"{order}q", file.read(8))
        data = file.read(length * width)
        if len(data) != length * width:
            raise ValueError(f"{len(data)} bytes where {length * width} were announced")
        numbers[storage.key] = as_numbers(data, storage.dtype, order)
    return contents, lambda storage: numbers[storage.key]
