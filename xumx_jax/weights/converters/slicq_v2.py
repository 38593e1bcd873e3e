"""Name map of xumx-sliCQ-V2, and what its files do not show.

PyTorch has a module for each block and source. Here the blocks whose bands stand alone are one
network, their kernels one behind the other by size, and each of the others is one.
"""

import json
from pathlib import Path

import numpy as np

from xumx_jax.errors import UserError
from xumx_jax.models.xumx_slicq_v2 import XumxSliCQv2, networks
from xumx_jax.transforms.slicq import SCALES
from xumx_jax.weights.converters.kinds import Kind, Tensors, groups_in, sizes, vote
from xumx_jax.weights.converters.rules import Rule

SOURCES = ("bass", "vocals", "other", "drums")  # in the file's order, where they have numbers
# The transforms of what has been published: no tensor shows scale and lowest frequency.
KNOWN = ({}, {"scale": "mel", "bins": 32, "low_hz": 115.5, "mix_phase": True})
# What the program writes in a .json beside its weights: {its option: ours}
OPTIONS = {"fscale": "scale", "fbins": "bins", "fmin": "low_hz", "realtime": "mix_phase"}
NORMS = (("params", "scale", "weight"), ("params", "bias", "bias"))
NORMS += (("batch_stats", "mean", "running_mean"), ("batch_stats", "var", "running_var"))


def beside(path: Path) -> dict:
    """The options in a .json of the same name as a file of weights."""
    place = path.with_suffix(".json")
    try:
        found = json.loads(place.read_text())["args"]
        return {ours: found[theirs] for theirs, ours in OPTIONS.items() if theirs in found}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{place}: not the options of xumx-sliCQ-V2 ({error!r})") from error


def arguments(tensors: Tensors, info: dict) -> dict:
    """Sizes from tensors; the transform from the settings, or the known one of as many blocks."""
    if any(name.startswith("bucketed_unmixes_") for name in tensors):
        raise UserError("these are weights of the first version, whose network is another")
    blocks = len(groups_in(tensors, r"sliced_umx\.(\d+)\..+"))
    given = info.get("settings") or {}
    outer = vote(sizes(tensors, r"sliced_umx\.\d+\.cdaes\.\d\.0\.weight", 0), "the hidden size")
    inner = vote(sizes(tensors, r"sliced_umx\.\d+\.cdaes\.\d\.3\.weight", 0), "the inner size")
    channels = vote(sizes(tensors, r"sliced_umx\.\d+\.cdaes\.\d\.0\.weight", 1), "the channels")
    stated = {name: given[name] for name in OPTIONS.values() if name in given}
    transforms = (stated,) if {"scale", "bins", "low_hz"} <= set(stated) else KNOWN
    fitting = [one for one in transforms if blocks_of(one) == blocks]
    if not fitting:
        others = ", ".join(described(one) for one in transforms)
        raise UserError(
            f"it has {blocks} blocks, other than {others}; wanted its options "
            f"({', '.join(OPTIONS)}) in a .json of the same name beside it"
        )
    return {
        **fitting[0],
        **stated,
        "channels": channels,
        "hidden_size": outer,
        "inner_size": inner,
    }


def blocks_of(options: dict) -> int:
    """How many blocks the transform has."""
    if options.get("scale", "bark") not in SCALES:
        raise UserError(f"its scale is {options['scale']!r}; known: {', '.join(SCALES)}")
    try:
        return len(XumxSliCQv2(**options).transform.blocks)
    except (TypeError, ValueError) as error:
        raise UserError(f"its options make no transform: {error}") from error


def described(options: dict) -> str:
    full = XumxSliCQv2(**options)
    return f"{full.scale}, {full.bins} bins from {full.low_hz} Hz ({blocks_of(options)})"


def rules(model: dict) -> list[Rule]:
    """The name map for these arguments."""
    full = XumxSliCQv2(**model)
    plan, outer, inner = full.transform, full.hidden_size, full.inner_size
    found = []
    for network, blocks, taps in networks(plan):
        found += [
            Rule(f"params/{network}/{name}", each_block(blocks, f"input_{name}"), joined)
            for name in ("mean", "scale")
        ]
        names = {layer: each_source(full, blocks, f"{layer}.weight") for layer in (0, 3, 6, 9)}
        ends = [(outer, full.channels, taps, plan.blocks[block].size) for block in blocks]
        middle = (inner, outer, taps, 4)
        count = len(full.sources)
        found += [
            Rule(f"params/{network}/first", names[0], first(count), several(ends, count)),
            Rule(f"params/{network}/second", names[3], stacked(count, (2, 1, 3, 0)),
                 several([middle] * len(blocks), count)),
            Rule(f"params/{network}/third", names[6], stacked(count, (2, 0, 3, 1)),
                 several([middle] * len(blocks), count)),
            Rule(f"params/{network}/last", names[9], last(count), several(ends, count)),
            Rule(f"params/{network}/bias", each_source(full, blocks, "9.bias"), stacked(count)),
        ]  # fmt: skip
        found += [
            Rule(
                f"{tree}/{network}/norm_{number}/{name}",
                each_source(full, blocks, f"{layer}.{theirs}"),
                stacked(count),
                several([(width,)] * len(blocks), count),
            )
            for number, (layer, width) in enumerate(((1, outer), (4, inner), (7, outer)))
            for tree, name, theirs in NORMS
        ]
    return found


def each_block(blocks: tuple[int, ...], name: str) -> tuple[str, ...]:
    return tuple(f"sliced_umx.{block}.{name}" for block in blocks)


def each_source(model: XumxSliCQv2, blocks: tuple[int, ...], name: str) -> tuple[str, ...]:
    """Names of one tensor of all blocks and sources, those of a block together."""
    numbers = [SOURCES.index(source) for source in model.sources]
    return tuple(
        f"sliced_umx.{block}.cdaes.{number}.{name}" for block in blocks for number in numbers
    )


def several(shapes: list[tuple[int, ...]], count: int) -> tuple[tuple[int, ...], ...]:
    """The shapes of all blocks, for as many sources of each."""
    return tuple(shape for shape in shapes for _ in range(count))


def joined(*parts: np.ndarray) -> np.ndarray:
    """Values of bands, block by block."""
    return np.concatenate(parts)


def by_block(parts: tuple[np.ndarray, ...], count: int) -> list[tuple[np.ndarray, ...]]:
    return [parts[at : at + count] for at in range(0, len(parts), count)]


def stacked(count: int, order: tuple[int, ...] | None = None):
    """Tensors of blocks and sources, each transposed -> [block, source, ...]."""

    def how(*parts: np.ndarray) -> np.ndarray:
        turned = parts if order is None else tuple(part.transpose(order) for part in parts)
        return np.stack([np.stack(block) for block in by_block(turned, count)])

    return how


def first(count: int):
    """[feature, channel, band tap, value] -> [band tap, channel, value, source, feature]."""

    def how(*parts: np.ndarray) -> np.ndarray:
        turned = tuple(part.transpose(2, 1, 3, 0) for part in parts)
        return np.concatenate([np.stack(block, 3) for block in by_block(turned, count)], axis=2)

    return how


def last(count: int):
    """[feature, channel, band tap, value] -> [source, band tap, feature, channel, value]."""

    def how(*parts: np.ndarray) -> np.ndarray:
        turned = tuple(part.transpose(2, 0, 1, 3) for part in parts)
        return np.concatenate([np.stack(block) for block in by_block(turned, count)], axis=-1)

    return how


KINDS = {
    "xumx-slicq-v2": Kind(
        model="xumx_slicq_v2",
        anchor=r"(.*?)sliced_umx\.0\.input_mean",
        arguments=arguments,
        rules=rules,
        beside=beside,
    ),
}
