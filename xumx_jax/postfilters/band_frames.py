"""Which values of a sliCQ share the statistics of a filter: those of a band, in a window of time.

In the flat array, [..., slice, coefficient], they are a run of coefficients in every slice. Filters
ask for sums over them (`total`), for one number of each band where all its values are (`spread`)
and for the largest magnitude (`loudest`), as they ask `wiener.AxisFrames` on an STFT.
"""

from dataclasses import dataclass
from functools import lru_cache, partial
from math import gcd
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array


@dataclass(frozen=True)
class BandFrames:
    """Values of a band in [..., slice, coefficient] share their statistics in windows of time.

    blocks    how many bands each block of the transform has, and of which size, as
              `transforms.slicq.blocks.shapes_of` gives them
    slices    that [..., slice, coefficient] has
    window    slices of a window; None: all
    values    of each band in a window instead, slice after slice, as xumx-sliCQ-V2 has it: bands of
              different size then have windows of different length, which begin within slices
    together  whether the largest magnitude is that of all blocks, else each block has its own, as
              with `values`
    """

    blocks: tuple[tuple[int, int], ...]
    slices: int
    window: int | None = None
    values: int | None = None
    together: bool = True

    def __post_init__(self):
        if self.window is not None and self.values is not None:
            raise ValueError(f"windows of {self.window} slices and of {self.values} values at once")
        if any(n is not None and n < 1 for n in (self.window, self.values, self.slices)):
            raise ValueError(f"{self}: wanted 1 or more slices and values")

    @property
    def whole(self) -> bool:
        """Whether all slices are one window."""
        return self.values is None and (self.window or self.slices) >= self.slices

    def total(self, values: Array) -> Array:
        """Sum over each band and window, [..., slice, coefficient] -> [..., group].

        Where all slices are one window, they may have been summed before, [..., 1, coefficient].
        """
        return _total(self, _merged(self, values, jnp.sum))

    def spread(self, values: Array) -> Array:
        """One number of each band and window, [..., group], where its values are.

        [..., slice, coefficient], or [..., 1, coefficient] if it is the same in all slices.
        """
        rows: Any = _spread(self, values)
        run = tables(self).run
        if rows.shape[-2] == 1 or run == 1:
            return rows
        return jnp.repeat(rows, run, axis=-2)[..., : self.slices, :]

    def loudest(self, mix: Array) -> Array:
        """The largest magnitude of a mixture [..., slice, coefficient], over all leading axes.

        As `spread` returns it: of each window, of all blocks or of each.
        """
        found, power = tables(self), jnp.square(mix.real) + jnp.square(mix.imag)
        power = power.max(tuple(range(power.ndim - 2)))
        size = jnp.sqrt(_merged(self, power, jnp.max)).ravel()
        size = size.reshape(-1, found.grain).max(-1)
        of_groups = _pick(size, found.members).max(-1)
        of_shares = _pick(of_groups, found.sharing).max(-1)
        return self.spread(of_shares[found.share])


class Tables(NamedTuple):
    """Where the values of groups, a band in a window each, lie in the flat array.

    Slices are merged by runs into rows, and values by grains that belong to one band and window.

    run      slices that are added up first
    rows     how many there are of them
    grain    values that are added up next
    group    that each grain belongs to, [row * grain]
    members  grains of each group, [group, longest]; where there are fewer, one that does not exist
    share    which groups have the same largest magnitude: its number, [group]
    sharing  groups of each such number, [share, most]
    """

    run: int
    rows: int
    grain: int
    group: np.ndarray
    members: np.ndarray
    share: np.ndarray
    sharing: np.ndarray


@lru_cache
def tables(frames: BandFrames) -> Tables:
    """How to add up what belongs together."""
    sizes = [size for bands, size in frames.blocks for _ in range(bands)]
    run = 1 if frames.values else min(frames.window or frames.slices, frames.slices)
    rows = -(-frames.slices // run)
    grain = gcd(*sizes, frames.values or 0)
    row, windows = np.arange(rows)[:, None], []
    for size in sizes:  # the window of each grain of a band, [row, grain]
        at = row * size + np.arange(0, size, grain)
        windows.append(at // frames.values if frames.values else row + 0 * at)
    of_band = np.repeat(np.arange(len(sizes)), np.array(sizes) // grain)
    window = np.concatenate(windows, axis=1)
    group = _numbered(window, of_band)
    # the same for groups: which window, and which block
    first = np.unique(group, return_index=True)[1]
    own = frames.values is not None or not frames.together
    block = np.repeat(np.arange(len(frames.blocks)), [bands for bands, _ in frames.blocks])
    blocks = block[of_band[first % len(of_band)]] if own else 0 * first
    share = _numbered(window.ravel()[first], blocks)
    return Tables(run, rows, grain, group, _members(group), share, _members(share))


def _numbered(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """Numbers 0, 1, .. of what has the same two labels, flat."""
    codes = outer.astype(np.int64) * (inner.max() + 1) + inner
    return np.unique(codes.ravel(), return_inverse=True)[1].ravel().astype(np.int32)


def _members(group: np.ndarray) -> np.ndarray:
    """The places of each number, [number, most]; `len(group)` where there are fewer."""
    order = np.argsort(group, kind="stable")
    count = np.bincount(group)
    first = np.cumsum(count) - count
    members = np.full((len(count), count.max()), len(group), np.int32)
    members[group[order], np.arange(len(group)) - first[group[order]]] = order
    return members


def _merged(frames: BandFrames, values: Array, how) -> Array:
    """Merge runs of slices, [..., slice, coefficient] -> [..., row, coefficient]."""
    found, shape = tables(frames), values.shape
    if found.run == 1:
        return values
    if found.rows == 1:
        return how(values, axis=-2, keepdims=True)
    missing = found.rows * found.run - shape[-2]
    values = jnp.pad(values, [(0, 0)] * (values.ndim - 2) + [(0, missing), (0, 0)])
    return how(values.reshape(*shape[:-2], found.rows, found.run, shape[-1]), axis=-2)


def _pick(values: Array, places: np.ndarray) -> Array:
    """[..., place] -> [..., *places], 0 where there is none."""
    return jnp.asarray(values).at[..., places].get(mode="fill", fill_value=0)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _total(frames: BandFrames, values: Array) -> Array:
    """[..., row, coefficient] -> [..., group]. `_spread` is its gradient, and it is that one's."""
    found = tables(frames)
    grains = values.reshape(*values.shape[:-2], -1, found.grain).sum(-1)
    return _pick(grains, found.members).sum(-1)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _spread(frames: BandFrames, values: Array) -> Array:
    """[..., group] -> [..., row, coefficient]."""
    found = tables(frames)
    grains = jnp.asarray(values).at[..., found.group].get(mode="promise_in_bounds")
    return jnp.repeat(grains, found.grain, axis=-1).reshape(*values.shape[:-1], found.rows, -1)


_total.defvjp(
    lambda frames, values: (_total(frames, values), None),
    lambda frames, _, cotangent: (_spread(frames, cotangent),),
)
_spread.defvjp(
    lambda frames, values: (_spread(frames, values), None),
    lambda frames, _, cotangent: (_total(frames, cotangent),),
)
