"""Tiny weights as other programs write them: by name, and as files made without the programs."""

import pickle
import sys
import types
import zipfile
from collections import OrderedDict
from contextlib import contextmanager

import h5py
import numpy as np

SOURCES = ("bass", "drums", "vocals", "other")
SIZES = {"sources": SOURCES, "bins": 9, "max_bin": 5, "hidden": 4, "layers": 2, "channels": 2}


def draw(shapes, seed=0):
    """Random float32 tensors of these shapes, positive so that they may be variances."""
    numbers = np.random.default_rng(seed)
    return {name: numbers.uniform(0.5, 1, s).astype(np.float32) for name, s in shapes.items()}


def nnabla(sources, bins, max_bin, hidden, layers, channels, directions=2):
    """X-UMX as NNabla names it."""
    part = hidden // directions
    shapes = {}
    for s in sources:
        shapes |= {f"input_mean_{s}": (max_bin,), f"input_scale_{s}": (max_bin,)}
        shapes |= {f"output_scale_{s}": (bins,), f"output_mean_{s}": (bins,)}
        for name, kernel in (
            ("fc1", (channels * max_bin, hidden)),
            ("fc2", (2 * hidden, hidden)),
            ("fc3", (hidden, channels * bins)),
        ):
            shapes[f"{name}_{s}/affine/W"] = kernel
            for norm in ("beta", "gamma", "mean", "var"):
                shapes[f"{name}_{s}/bn/{norm}"] = (1, 1, kernel[1])
        first, rest = hidden + part, directions * part + part
        shapes[f"lstm_{s}/lstm/weight_l0"] = (directions, 4, part, first)
        if layers > 1:
            shapes[f"lstm_{s}/lstm/weight"] = (layers - 1, directions, 4, part, rest)
        shapes[f"lstm_{s}/lstm/bias"] = (layers, directions, 4, part)
    return draw(shapes)


def asteroid(sources, bins, max_bin, hidden, layers, channels):
    """X-UMX as asteroid names it, with the windows and counters that come along."""
    part = hidden // 2
    shapes = {"encoder.0.window": (2 * (bins - 1),), "decoder.window": (2 * (bins - 1),)}
    counters = {}
    for s in sources:
        shapes |= {f"mean_scale.input_{n}_{s}": (max_bin,) for n in ("mean", "scale")}
        shapes |= {f"mean_scale.output_{n}_{s}": (bins,) for n in ("mean", "scale")}
        for name, kernel in (
            (f"layer_enc.{s}.enc.0", (hidden, channels * max_bin)),
            (f"layer_dec.{s}.dec.0", (hidden, 2 * hidden)),
            (f"layer_dec.{s}.dec.3", (channels * bins, hidden)),
        ):
            norm = f"{name[:-1]}{int(name[-1]) + 1}"
            shapes[f"{name}.weight"] = kernel
            for n in ("weight", "bias", "running_mean", "running_var"):
                shapes[f"{norm}.{n}"] = (kernel[0],)
            counters[f"{norm}.num_batches_tracked"] = np.int64(3)
        for layer in range(layers):
            for end in ("", "_reverse"):
                lstm = f"layer_lstm.{s}."
                shapes[f"{lstm}weight_ih_l{layer}{end}"] = (4 * part, hidden)
                shapes[f"{lstm}weight_hh_l{layer}{end}"] = (4 * part, part)
                shapes[f"{lstm}bias_ih_l{layer}{end}"] = (4 * part,)
                shapes[f"{lstm}bias_hh_l{layer}{end}"] = (4 * part,)
    return draw(shapes) | counters


def openunmix(bins=9, max_bin=5, hidden=4, layers=2, channels=2, directions=2, seed=0):
    """One target of Open-Unmix, with the counters that come along."""
    part = hidden // directions
    shapes = {f"input_{n}": (max_bin,) for n in ("mean", "scale")}
    shapes |= {f"output_{n}": (bins,) for n in ("scale", "mean")}
    counters = {}
    for number, kernel in enumerate(
        ((hidden, channels * max_bin), (hidden, 2 * hidden), (channels * bins, hidden)), 1
    ):
        shapes[f"fc{number}.weight"] = kernel
        for n in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"bn{number}.{n}"] = (kernel[0],)
        counters[f"bn{number}.num_batches_tracked"] = np.int64(3)
    for layer in range(layers):
        for end in ("", "_reverse")[:directions]:
            shapes[f"lstm.weight_ih_l{layer}{end}"] = (4 * part, hidden)
            shapes[f"lstm.weight_hh_l{layer}{end}"] = (4 * part, part)
            shapes[f"lstm.bias_ih_l{layer}{end}"] = (4 * part,)
            shapes[f"lstm.bias_hh_l{layer}{end}"] = (4 * part,)
    return draw(shapes, seed) | counters


def write_h5(path, tensors):
    """As NNabla: a dataset per parameter, numbered in the order of creation."""
    with h5py.File(path, "w") as file:
        for index, (name, tensor) in enumerate(tensors.items()):
            file[name] = tensor
            file[name].attrs["index"] = index
    return path


def write_pth(path, contents):
    """As torch.save: numpy arrays in `contents` are stored as tensors."""
    modules = {name: types.ModuleType(name) for name in ("torch", "torch._utils")}
    names = {"float32": "FloatStorage", "float16": "HalfStorage", "int64": "LongStorage"}
    for name in names.values():
        setattr(modules["torch"], name, type(name, (), {"__module__": "torch"}))

    def rebuild():
        raise AssertionError("named, not called, by the writer")

    rebuild.__module__, rebuild.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    modules["torch._utils"]._rebuild_tensor_v2 = rebuild
    storages = []

    class Key(int):
        pass

    class Writer(pickle.Pickler):
        def persistent_id(self, value):
            if isinstance(value, Key):
                tensor = storages[value]
                kind = getattr(modules["torch"], names[str(tensor.dtype)])
                return "storage", kind, str(int(value)), "cpu", tensor.size

        def reducer_override(self, value):
            if not isinstance(value, np.ndarray | np.generic):
                return NotImplemented
            storages.append(np.ascontiguousarray(value))
            strides = [stride // value.itemsize for stride in storages[-1].strides]
            shape = tuple(np.shape(value))
            key = Key(len(storages) - 1)
            return rebuild, (key, 0, shape, tuple(strides[: len(shape)]), False, OrderedDict())

    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        with zipfile.ZipFile(path, "w") as archive:
            with archive.open("archive/data.pkl", "w") as file:
                Writer(file, protocol=2).dump(contents)
            for index, tensor in enumerate(storages):
                archive.writestr(f"archive/data/{index}", tensor.tobytes())
    finally:
        restore_modules(before)
    return path


@contextmanager
def class_called(name):
    """A class that pickles as "module.Class", while this lasts."""
    module, _, called = name.rpartition(".")
    made = type(called, (), {"__module__": module})
    parts = module.split(".")
    places = [".".join(parts[: end + 1]) for end in range(len(parts))]
    before = {place: sys.modules.get(place) for place in places}
    sys.modules.update({place: types.ModuleType(place) for place in places})
    setattr(sys.modules[module], called, made)
    try:
        yield made
    finally:
        restore_modules(before)


def restore_modules(before):
    for name, module in before.items():
        sys.modules.pop(name) if module is None else sys.modules.update({name: module})


def write_th(path, state, klass="demucs.hdemucs.HDemucs", args=(), **kwargs):
    """As Demucs exports a model: half precision, with its class and what it was made with."""
    half = {k: v.astype(np.float16) if v.dtype == np.float32 else v for k, v in state.items()}
    with class_called(klass) as made:
        contents = {"klass": made, "args": args, "kwargs": kwargs, "state": half}
        return write_pth(path, contents | {"training_args": {"epochs": 360}})
