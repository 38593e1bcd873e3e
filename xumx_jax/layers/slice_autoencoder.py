"""The convolutional autoencoders of xumx-sliCQ-V2 (sevagh, 2023): one for each block and source.

What lies outside of the track is 0 after each layer, by position: any part of a track with two more
slices on both sides (three before it, where frames are late) gives what the whole does.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array, lax

from xumx_jax.layers.block_norm import BlockNorm
from xumx_jax.layers.slice_convolution import (
    TAPS,
    Bands,
    Kernels,
    Span,
    Unit,
    first,
    last,
    middle,
    valid,
    whitened,
)
from xumx_jax.layers.slicq_groups import Group


class Autoencoders(nn.Module):
    """Those of blocks whose kernels have as many taps along the bands, for all sources.

    sizes     coefficients of a slice, of each block, rising
    bands     how many each block has
    taps      bands that a kernel sees
    features  of the outer and the inner layers
    late      whether a frame of the first layer ends with the first coefficient after its slice, as
              in the originals' realtime variant, and its first one is half a slice earlier
    """

    sizes: tuple[int, ...]
    bands: tuple[int, ...]
    taps: int
    sources: int
    channels: int
    features: tuple[int, int]
    late: bool = False
    axis_name: str | None = None

    def setup(self):
        count, total, sources = len(self.sizes), sum(self.sizes), self.sources
        outer, inner = self.features
        ones, zeros = nn.initializers.ones, nn.initializers.zeros
        self.mean = self.param("mean", zeros, (sum(self.bands),))
        self.scale = self.param("scale", ones, (sum(self.bands),))
        # as PyTorch draws them: uniform, to the inverse root of the number of inputs
        ends = self.taps * self.channels * np.array(self.sizes)
        by_value = np.repeat(ends, self.sizes)
        middle = self.taps * TAPS * outer
        self.first = self.param(
            "first",
            drawn(by_value[:, None, None]),
            (self.taps, self.channels, total, sources, outer),
        )
        self.second = self.param(
            "second", drawn(middle), (count, sources, self.taps, outer, TAPS, inner)
        )
        self.third = self.param(
            "third", drawn(middle), (count, sources, self.taps, inner, TAPS, outer)
        )
        self.last = self.param(
            "last", drawn(by_value), (sources, self.taps, outer, self.channels, total)
        )
        self.bias = self.param("bias", drawn(ends[:, None, None]), (count, sources, self.channels))
        self.norms = [
            BlockNorm((count, sources, width), self.axis_name, name=f"norm_{number}")
            for number, width in enumerate((outer, inner, outer))
        ]

    def __call__(
        self,
        groups: Sequence[Group],
        mixes: Sequence[Array],
        more: Sequence[Array],
        finish: Callable[[Array, Array, Array], Any],
        span: Span,
        train: bool,
        dtype: str,
    ) -> list:
        """Masks of groups of bands that together are those of the weights, and what follows.

        Of each group, complex `mixes` [band, item, channel, half slice, value], and `more` [band,
        ...] for `finish`: (masks [source, band, item, half slice, channel, value], mixture, more)
        -> arrays [band, ...], which are returned, of all bands. One block after another, unless
        `train`.
        """
        halves = mixes[0].shape[-2]
        frames = [valid(halves, span, missing) for missing in self._missing]
        whiten = partial(whitened, inside=valid(halves, span))
        bands = Bands(self.taps, singly=not train)
        found, seen = [], []
        folded = [] if train else [norm.folded() for norm in self.norms]

        def chain(unit: Unit, kernels: Kernels, normalise, each):
            y = each(whiten)(unit)
            begin = partial(first, bands=bands, sources=self.sources, dtype=dtype)
            y = each(begin)(y, kernels.first)
            y = normalise(0, y)
            for number, kernel in ((1, kernels.second), (2, kernels.third)):
                layer = partial(middle, bands=bands, back=number == 2, dtype=dtype)
                y = normalise(number, each(layer)(y, kernel))
            ends = partial(last, bands=bands, channels=self.channels, dtype=dtype)
            return each(finish)(each(ends)(y, kernels.last, kernels.bias), unit.mix, unit.more)

        def one(unit: Unit, half: int):
            """A unit with the running statistics."""

            def normalise(number, y):
                gain, shift = (rows[unit.block][:, None, None, None] for rows in folded[number])
                return jnp.where(frames[number][:, None], jax.nn.relu(y * gain + shift), 0)

            return chain(unit, self._kernels(unit, half), normalise, lambda function: function)

        def all_at_once(units: Unit, half: int, blocks: np.ndarray):
            """Units with the statistics of the batch."""

            def normalise(number, y):
                y, moments = self.norms[number].batch(y, frames[number], blocks)
                seen.append((number, moments))
                return jnp.where(frames[number][:, None], jax.nn.relu(y), 0)

            kernels = jax.vmap(lambda unit: self._kernels(unit, half))(units)
            return chain(units, kernels, normalise, jax.vmap)

        at = 0
        for group, mix, extra in zip(groups, mixes, more, strict=True):
            units, blocks = self._units(group, mix, extra, at)
            at += len(group.bands)
            if train:
                made = all_at_once(units, group.half, blocks)
            elif len(blocks) == 1:
                made = one(Unit(*(part[0] for part in units)), group.half)
                made = jax.tree.map(lambda array: array[None], made)
            else:
                made = lax.map(partial(one, half=group.half), units)
            found.append(jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), made))
        if train:
            for number, norm in enumerate(self.norms):
                norm.follow([moments for which, moments in seen if which == number])
        return found

    @property
    def _missing(self) -> tuple[int, int, int]:
        """How many frames each of the first three layers has fewer than there are half slices."""
        ends = 0 if self.late else 1
        return ends, ends + TAPS - 1, ends

    def _units(self, group: Group, mix: Array, more: Array, at: int) -> tuple[Unit, np.ndarray]:
        """Each band a unit, with the number of its block, or all bands one with several taps."""
        count = len(group.bands)
        units = count if self.taps == 1 else 1
        starts = np.concatenate([[0], np.cumsum(self.sizes)])
        blocks = np.array(group.blocks)[:units]

        def split(array):
            return array.reshape(units, count // units, *array.shape[1:])

        made = Unit(
            split(mix),
            split(self.mean[at : at + count]),
            split(self.scale[at : at + count]),
            jnp.asarray(blocks, jnp.int32),
            jnp.asarray(starts[blocks], jnp.int32),
            jnp.asarray(np.array(group.sizes)[:units], jnp.int32),
            split(more),
        )
        return made, blocks

    def _kernels(self, unit: Unit, half: int) -> Kernels:
        """The weights of a unit's block.

        What follows a half of its kernel, up to `half` values, is the next one: in the first layer
        it meets zeros, and what it makes in the last one is not used.
        """

        def cut(weights, start, axis, count=half):
            return lax.dynamic_slice_in_dim(weights, start, count, axis)

        outer, inner = self.features
        start, after = unit.start, unit.start + unit.size // 2
        if self.late:  # see `first`
            places = (start, half), (after - 1, half), (start + unit.size - 1, 1)
        else:
            places = (start, half), (after, half)
        rows = self.sources * outer
        second, third, bias = (
            lax.dynamic_index_in_dim(weights, unit.block, keepdims=False)
            for weights in (self.second, self.third, self.bias)
        )
        ends = [
            cut(self.last, place, 4).reshape(self.sources, self.taps * outer, -1)
            for place in (start, after)
        ]
        return Kernels(
            tuple(cut(self.first, place, 2, count).reshape(-1, rows) for place, count in places),
            second.reshape(self.sources, self.taps * outer, -1),
            third.reshape(self.sources, self.taps * inner, -1),
            (ends[0], ends[1]),
            bias,
        )


def drawn(inputs: int | np.ndarray):
    """Draw weights as PyTorch does, uniform between +-1 / sqrt(inputs)."""
    limit = (1 / np.sqrt(inputs)).astype(np.float32)
    return lambda key, shape: jax.random.uniform(key, shape, minval=-1, maxval=1) * limit
