"""Bands of a sliCQ transform that are worked on together: packed to one size, and unpacked.

A transform has a few hundred bands of some seventy sizes. To be compiled, and to be quick, networks
take the bands of similar sizes as one array, in halves of a slice: each half of a band is followed
by zeros up to the largest of its group. Packing and unpacking are one gather a group.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import jax.numpy as jnp
import numpy as np
from jax import Array

from xumx_jax.transforms.slicq.plan import Plan

RATIO = 2.0  # of the largest to the smallest size in a group: more groups compile for longer


@dataclass(frozen=True)
class Group:
    """Bands of similar sizes; a tuple has an entry for each.

    bands    their numbers in the transform
    blocks   the number of each one's block among those that were grouped, sorted by size
    sizes    coefficients in a slice
    offsets  the first coefficient, among those of a slice
    """

    bands: tuple[int, ...]
    blocks: tuple[int, ...]
    sizes: tuple[int, ...]
    offsets: tuple[int, ...]

    @property
    def half(self) -> int:
        """Values of a packed half slice."""
        return max(self.sizes) // 2

    @property
    def full(self) -> bool:
        """Whether nothing is padded."""
        return min(self.sizes) == 2 * self.half


def by_size(plan: Plan, blocks: Sequence[int]) -> list[int]:
    """Sort numbers of blocks by the size of their bands, and else as they come."""
    return sorted(blocks, key=lambda number: plan.blocks[number].size)


def groups_of(plan: Plan, blocks: Sequence[int], ratio: float = RATIO) -> tuple[Group, ...]:
    """Group the bands of these blocks, which are sorted `by_size`."""
    starts = np.concatenate([[0], np.cumsum(plan.sizes)])
    found: list[list[tuple[int, int, int, int]]] = []
    smallest = 0
    for number, block in enumerate(plan.blocks[each] for each in blocks):
        if not found or block.size > ratio * smallest:
            found.append([])
            smallest = block.size
        found[-1] += [
            (band, number, block.size, int(starts[band]))
            for band in range(block.first, block.first + block.bands)
        ]
    return tuple(Group(*zip(*rows, strict=True)) for rows in found)


def packed(values: Array, group: Group) -> Array:
    """[..., slice, coefficient] -> [band, ..., half slice, value], twice as many halves."""
    sizes, offsets = np.array(group.sizes), np.array(group.offsets)
    count, half = len(sizes), group.half
    if group.full and (np.diff(offsets) == 2 * half).all():
        found = values[..., offsets[0] : offsets[0] + count * 2 * half]
        found = found.reshape(*values.shape[:-1], count, 2, half)
    else:
        at, middle = np.arange(half), sizes[:, None, None] // 2
        inside = np.broadcast_to(at < middle, (count, 2, half))
        index = offsets[:, None, None] + np.arange(2)[:, None] * middle + at
        index = np.where(inside, index, 0).astype(np.int32)
        found = values.at[..., index].get(mode="promise_in_bounds")
        found = jnp.where(inside, found, 0)
    # [..., slice, band, 2, value] -> [band, ..., half slice, value]
    found = jnp.moveaxis(found, -3, 0)
    return found.reshape(*found.shape[:-3], -1, half)


def unpacked(plan: Plan, groups: Sequence[Group], values: Sequence[Array]) -> Array:
    """Undo `packed` for groups that together are all bands -> [..., slice, coefficient]."""
    places = {
        band: (number, place)
        for number, group in enumerate(groups)
        for place, band in enumerate(group.bands)
    }
    parts = []
    for number, run in groupby(range(plan.bands), key=lambda band: places[band][0]):
        group, part = groups[number], values[number]
        chosen = [places[band][1] for band in run]
        # [band, ..., half slice, value] -> [band, ..., slice, 2, value]
        part = part.reshape(*part.shape[:-2], -1, 2, group.half)
        if group.full and (np.diff(chosen) == 1).all():
            part = jnp.moveaxis(part[chosen[0] : chosen[-1] + 1], 0, -3)
            part = part.reshape(*part.shape[:-3], -1)
        else:
            sizes = np.array(group.sizes)[chosen]
            place = np.repeat(chosen, sizes).astype(np.int32)
            at = np.concatenate([np.arange(size) for size in sizes])
            middle = np.repeat(sizes // 2, sizes)
            second = (at >= middle).astype(np.int32)
            at = (at - second * middle).astype(np.int32)
            part = part.at[place, ..., second, at].get(mode="promise_in_bounds")
            part = jnp.moveaxis(part, 0, -1)
        parts.append(part)
    return jnp.concatenate(parts, axis=-1)
