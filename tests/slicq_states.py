"""States of both versions of xumx-sliCQ in PyTorch: names and shapes, for any transform."""

import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np

NORM = ("weight", "bias", "running_mean", "running_var")


def first_version(blocks, targets=("bass", "vocals", "other", "drums")) -> dict:
    """{name: shape} for blocks of (bands, coefficients), those that have a network."""
    shapes: dict[str, tuple[int, ...]] = {}
    for target in targets:
        for block, (bands, size) in enumerate(blocks):
            taps = (1 if bands < 10 else 3 if bands < 20 else 5, 7 if size <= 100 else 13)
            before = f"bucketed_unmixes_{target}.{block}"
            shapes |= {f"{before}.{name}": (bands,) for name in ("input_mean", "input_scale")}
            for layer, width, inner, outer in (
                (0, 25, 2, 25), (3, 55, 25, 55), (6, 25, 25, 55), (9, 2, 2, 25)
            ):  # fmt: skip
                shapes[f"{before}.cdae.{layer}.weight"] = (outer, inner, *taps)
                norm = f"{before}.cdae.{layer + 1}"
                shapes |= {f"{norm}.{name}": (width,) for name in NORM}
                shapes[f"{norm}.num_batches_tracked"] = ()
            shapes[f"{before}.cdae.12.weight"] = (2, 2, 1, 3)
            shapes[f"{before}.cdae.12.bias"] = (2,)
    return shapes


def second_version(blocks, hidden: int = 50, inner: int = 51, sources: int = 4) -> dict:
    """{name: shape} for blocks of (bands, coefficients); of a block at a time."""
    shapes: dict[str, tuple[int, ...]] = {}
    for block, (bands, size) in enumerate(blocks):
        taps = 1 if bands < 10 else 3 if bands < 20 else 5
        before = f"sliced_umx.{block}"
        shapes |= {f"{before}.{name}": (bands,) for name in ("input_mean", "input_scale")}
        for source in range(sources):
            cdae = f"{before}.cdaes.{source}"
            for layer, first, width in (
                (0, (hidden, 2, taps, size), hidden),
                (3, (inner, hidden, taps, 4), inner),
                (6, (inner, hidden, taps, 4), hidden),
            ):
                shapes[f"{cdae}.{layer}.weight"] = first
                shapes |= {f"{cdae}.{layer + 1}.{name}": (width,) for name in NORM}
                shapes[f"{cdae}.{layer + 1}.num_batches_tracked"] = ()
            shapes |= {f"{cdae}.9.weight": (hidden, 2, taps, size), f"{cdae}.9.bias": (2,)}
    return shapes


def blocks_of(plan) -> list[tuple[int, int]]:
    return [(block.bands, block.size) for block in plan.blocks]


@cache
def detrand(folder: Path) -> ModuleType:
    """What draws the parameters of recordings, which lies beside them."""
    spec = importlib.util.spec_from_file_location("detrand", folder / "detrand.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def recorded(shapes: dict, folder: Path, tag: str) -> dict[str, np.ndarray]:
    """The tensors that a network of a recording had."""
    draw = detrand(folder).param
    return {name: draw(tag, name, shape) for name, shape in shapes.items()}
