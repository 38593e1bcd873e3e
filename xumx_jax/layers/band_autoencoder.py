"""Convolutional autoencoders of many blocks of bands at once, as in xumx-sliCQ.

Each block and target has weights of its own, but kernels of few shapes occur. Blocks with kernels
of one shape are a `Group`: their weights are stacked, and a loop runs over them, so that code is
compiled once for each shape instead of once for each block. Where a kernel covers a single band,
the bands of a block, which then do not see each other, lie one behind the other in time.

All kernels are dilated by 2 in time. Even and odd frames do not see each other then: they are items
of a batch, and their kernels are dense. Slices overlap by half, so a block with M coefficients a
slice has M / 4 pairs of frames a slice, and (slices + 1) * M / 4 in all. What a slice holds in
pairs of frames is a row of a table, [slice, pair], the blocks one behind the other; their columns
are what `Group.starts` counts.
"""

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array, lax

from xumx_jax.layers.dilated_autoencoder import GROWTH, affine, autoencoder
from xumx_jax.layers.initializers import symmetric

HIDDEN = (25, 55)  # channels of the first and of the second layer
FILL = 0.7  # of the longest block in a loop, that the shortest must have
NEVER = 1 << 30  # a frame that no track has


@dataclass(frozen=True)
class Group:
    """Blocks whose kernels have one shape, (bands, frames); hashable.

    blocks  their numbers in the transform, those of many frames first
    bands   how many each has
    pairs   of frames of each in a slice, of one band
    starts  the column of each in the table of pairs
    """

    kernel: tuple[int, int]
    blocks: tuple[int, ...]
    bands: tuple[int, ...]
    pairs: tuple[int, ...]
    starts: tuple[int, ...]

    @property
    def rows(self) -> bool:
        """Whether bands see each other, so that each is a row of its own."""
        return self.kernel[0] > 1

    def loops(self) -> list[slice]:
        """Which of `blocks` run in one loop: those of about one length.

        Blocks whose bands see each other share one only with blocks of their shape.
        """
        shapes = list(zip(self.bands, self.pairs, strict=True))
        starts = [0]
        for n, (bands, pairs) in enumerate(shapes):
            first = shapes[starts[-1]]
            fits = bands * pairs >= FILL * first[0] * first[1]
            if (bands, pairs) != first if self.rows else not fits:
                starts.append(n)
        return [slice(a, b) for a, b in zip(starts, [*starts[1:], len(shapes)], strict=True)]

    def positions(self, loop: slice, slices: int) -> int:
        """How many pairs of frames the rows of such a loop hold: those of its first block."""
        return (1 if self.rows else self.bands[loop.start]) * slices * self.pairs[loop.start]


class Places(NamedTuple):
    """Where the pairs of frames of blocks are, [block, row, position]; all of them int32.

    column  in the table of pairs
    slice   in the table of pairs
    frame   of the band, from the beginning of the track
    band    of the block; as many as it has, or more, where a block does not fill its rows
    """

    column: Array
    slice: Array
    frame: Array
    band: Array


class BandAutoencoders(nn.Module):
    """The autoencoders of all blocks of a group, for all targets.

    Batch normalisation's leaves hold the channels of all layers, one layer behind the other.

    group      the blocks
    targets    how many have weights of their own
    channels   of the input and of the masks
    axis_name  of the devices that share a training batch
    """

    group: Group
    targets: int
    channels: int = 2
    axis_name: str | None = None

    @property
    def widths(self) -> tuple[int, ...]:
        """The channels of the input and of what each layer gives."""
        return (self.channels, HIDDEN[0], HIDDEN[1], HIDDEN[0], self.channels)

    def setup(self):
        rows, frames = self.group.kernel
        lead, widths = (len(self.group.blocks), self.targets), self.widths

        def kernel(name: str, taps: tuple[int, ...], inputs: int, width: int, fan: int) -> Array:
            limit = symmetric(float(np.prod(taps) * fan) ** -0.5)
            return self.param(name, limit, (*lead, *taps, inputs, width))

        # PyTorch counts a transposed kernel's outputs as inputs when it draws initial weights
        self.kernels = [
            kernel(f"kernel_{n}", (rows, frames), a, b, a if n < 2 else b)
            for n, (a, b) in enumerate(pairwise(widths))
        ]
        out = self.channels
        self.growth = kernel("growth", (GROWTH,), out, out, out)
        uniform = symmetric((GROWTH * out) ** -0.5)
        self.growth_bias = self.param("growth_bias", uniform, (*lead, out))
        shape = (*lead, sum(widths[1:]))
        self.scale = self.param("scale", nn.initializers.ones, shape)
        self.bias = self.param("bias", nn.initializers.zeros, shape)
        self.mean = self.variable("batch_stats", "mean", jnp.zeros, shape)
        self.var = self.variable("batch_stats", "var", jnp.ones, shape)

    def __call__(
        self, table: Array, mean: Array, scale: Array, span: tuple, train: bool
    ) -> list[Array]:
        """The table of pairs, [slice, pair, batch, 2, channel], to masks between 0 and 1.

        [block, target, batch, row, position, 4 values, channel] for each of the group's loops.
        `mean` and `scale`, [block, target, band], are added to and multiplied with the frames
        before all else; there may be more bands than a block has. `span` holds the first slice and
        the one after the last that are the track's own; the others are silent, and nothing is made
        of them.
        """
        slices, pairs, batch, _, channels = table.shape
        flat, found, moments = table.reshape(slices * pairs, -1), [], []
        leaves = {
            "input_mean": mean,
            "input_scale": scale,
            "kernels": self.kernels,
            "growth": self.growth,
            "growth_bias": self.growth_bias,
            "norm": (self.scale, self.bias)
            if train
            else affine(self.scale, self.bias, self.mean.value, self.var.value),
        }
        axis_name = None if self.is_initializing() else self.axis_name
        for loop in self.group.loops():
            where = self._places(loop, slices)
            x = flat.at[where.slice * pairs + where.column].get(mode="promise_in_bounds")
            x = jnp.moveaxis(x.reshape(*x.shape[:3], 2 * batch, channels), 3, 1)
            band = jnp.minimum(where.band, mean.shape[-1] - 1)
            # of each block and target, one behind the other
            of = jax.tree.map(lambda leaf, loop=loop: _merged(leaf[loop]), leaves)
            block = jnp.arange(len(x) * self.targets, dtype=jnp.int32) // self.targets
            pairs_of = jnp.array(self.group.pairs[loop], jnp.int32)
            shared = {"x": x, "frame": self._frames(loop, where), "band": band, "pairs": pairs_of}
            run = partial(autoencoder, shared, span, self.group.kernel[1] - 1, train, axis_name)
            masks, moment = lax.map(run, (block, of))
            found.append(masks.reshape(len(x), self.targets, *masks.shape[1:]))
            moments.append(moment)
        if train and not self.is_initializing():
            self._follow(moments)
        return found

    def _follow(self, moments: list) -> None:
        """Move the running statistics a tenth of the way, as PyTorch does."""
        for running, parts in zip((self.mean, self.var), zip(*moments, strict=True), strict=True):
            now = jnp.concatenate(parts).reshape(running.value.shape)
            running.value = running.value + 0.1 * (now - running.value)

    def _places(self, loop: slice, slices: int) -> Places:
        """Where the pairs of frames of these blocks are in a table of so many slices."""
        group = self.group
        start, quarter, bands = (
            jnp.array(each[loop], jnp.int32)[:, None, None]
            for each in (group.starts, group.pairs, group.bands)
        )
        length = slices * quarter
        at = jnp.arange(group.positions(loop, slices), dtype=jnp.int32)
        if group.rows:
            rows = jnp.arange(group.bands[loop.start], dtype=jnp.int32)[:, None]
            band, frame = jnp.broadcast_arrays(rows, at + 0 * length)
        else:
            at, length = jnp.broadcast_arrays(at, length)
            band, frame = lax.div(at, length), lax.rem(at, length)
        quarter = jnp.broadcast_to(quarter, frame.shape)
        # what lies beyond the last band of a block is another's, and not used
        column = start + jnp.minimum(band, bands - 1) * quarter + lax.rem(frame, quarter)
        return Places(column, lax.div(frame, quarter), frame, band)

    def _frames(self, loop: slice, where: Places) -> Array:
        """The frame of each position, [block, 1, position]; NEVER where a block has none."""
        bands = jnp.array(self.group.bands[loop], jnp.int32)[:, None, None]
        # alike in all rows
        return jnp.where(where.band[:, :1] < bands, where.frame[:, :1], NEVER)


def _merged(leaf: Array) -> Array:
    """[block, target, ...] -> [block * target, ...]."""
    return leaf.reshape(-1, *leaf.shape[2:])
