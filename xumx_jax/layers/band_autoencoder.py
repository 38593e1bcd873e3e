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
from jax import nn as jnn

from xumx_jax.layers.convolution import Step, correlate
from xumx_jax.layers.initializers import symmetric

EPSILON = 1e-5
HIDDEN = (25, 55)  # channels of the first and of the second layer
FILL = 0.7  # of the longest block in a loop, that the shortest must have
TRIMS = (1, 2, 1, 0)  # by how many kernels the output of each layer is shorter than the input
NEVER = 1 << 30  # a frame that no track has
GROWTH = 3  # taps of the last layer, which makes two values of each frame


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
        self.growth_bias = self.param("growth_bias", symmetric((GROWTH * out) ** -0.5), (*lead, out))
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
            "norm": (self.scale, self.bias),
        }
        if not train:
            leaves["norm"] = _affine(*leaves["norm"], self.mean.value, self.var.value)
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
            run = partial(_masks, shared, span, self.group.kernel[1] - 1, train, axis_name)
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


def _masks(shared: dict, span: tuple, reach: int, train: bool, axis_name: str | None, of: tuple):
    """One block and target: masks [batch, row, position, 4, channel], and moments of the norms.

    `shared` is that of all blocks; `of` has the number of the block, and its leaves. `reach` is
    that of a kernel, in positions.
    """
    block, leaf = of
    x, frame, band, pairs = (
        lax.dynamic_index_in_dim(shared[key], block, keepdims=False)
        for key in ("x", "frame", "band", "pairs")
    )
    frame = frame[..., None]
    first, end = span[0] * pairs, (span[1] + 1) * pairs  # of the track
    mean, scale = (
        leaf[name].at[band].get(mode="promise_in_bounds")[..., None]
        for name in ("input_mean", "input_scale")
    )
    y, moments, start = (x + mean) * scale, [], 0
    layers = (_correlated, _correlated, _turned, _turned_few)
    for layer, kernel, trim in zip(layers, leaf["kernels"], TRIMS, strict=True):
        y = layer(y, kernel)
        # what is made of frames outside the track, or beyond the last band, is nothing
        kept = (frame >= first) & (frame < end - trim * reach)
        norm = [part[start : start + y.shape[-1]] for part in leaf["norm"]]
        if train:
            mean, var, moment = _moments(y, kept, axis_name)
            norm = _affine(*norm, mean, var)
            moments.append(moment)
        y = jnn.relu(y * norm[0] + norm[1]) * kept
        start += y.shape[-1]
    joined = tuple(map(jnp.concatenate, zip(*moments, strict=True)))
    return _grown(y, frame > 0, leaf["growth"], leaf["growth_bias"]), joined


def _affine(scale: Array, bias: Array, mean: Array, var: Array) -> tuple[Array, Array]:
    """Gain and offset of batch normalisation."""
    gain = scale * lax.rsqrt(var + EPSILON)
    return gain, bias - mean * gain


def _moments(y: Array, kept: Array, axis_name: str | None):
    """Mean and biased variance of what is kept of [item, row, position, channel]; (mean, unbiased)."""

    def everywhere(value):
        return value if axis_name is None else lax.psum(value, axis_name)

    count = everywhere(kept.sum().astype(y.dtype) * (y.shape[0] * y.shape[1]))
    mean = everywhere((y * kept).sum((0, 1, 2))) / count
    square = everywhere((jnp.square(y - mean) * kept).sum((0, 1, 2)))
    return mean, square / count, (mean, square / jnp.maximum(count - 1, 1))


def _correlated(x: Array, kernel: Array) -> Array:
    """Correlate [item, row, position, in] with [rows, positions, in, out]; fewer rows come out.

    There are as many positions as before: past the end the input is silent.
    """
    return correlate((Step(), Step(padding=(0, kernel.shape[1] - 1))), x, kernel)


def _turned(x: Array, kernel: Array) -> Array:
    """The transposed convolution with a kernel [rows, positions, in, out]: more rows come out."""
    rows, reach = len(kernel) - 1, kernel.shape[1] - 1
    plan = Step(padding=(rows, rows)), Step(padding=(reach, 0))
    return correlate(plan, x, kernel[::-1, ::-1])


def _turned_few(x: Array, kernel: Array) -> Array:
    """The same, faster where few channels come out: one product for all taps, then a sum."""
    rows, taps, inputs, outputs = kernel.shape
    flat = kernel.transpose(2, 0, 1, 3).reshape(inputs, -1)
    z = (x.reshape(-1, inputs) @ flat).reshape(*x.shape[:-1], rows, taps, outputs)
    return _shifted_sum(z)


@jax.custom_vjp
def _shifted_sum(z: Array) -> Array:
    """[item, row, position, R, T, channel] -> [item, row + R - 1, position, channel].

    What is at (r, t) of the fourth and fifth axis is moved by as many rows and positions.
    """
    items, rows, positions, more, taps, _ = z.shape
    z = jnp.pad(z, [(0, 0), (more - 1, more - 1), (taps - 1, 0), *[(0, 0)] * 3])
    parts = [
        z[:, more - 1 - r :, taps - 1 - t :, r, t][:, : rows + more - 1, :positions]
        for r in range(more)
        for t in range(taps)
    ]
    return sum(parts[1:], parts[0])


def _shifted_sum_forward(z: Array):
    return _shifted_sum(z), z.shape[3:5]


def _shifted_sum_backward(shape: tuple[int, int], dy: Array):
    more, taps = shape
    rows, positions = dy.shape[1] - more + 1, dy.shape[2]
    dy = jnp.pad(dy, [(0, 0), (0, 0), (0, taps - 1), (0, 0)])
    parts = [[dy[:, r:, t:][:, :rows, :positions] for t in range(taps)] for r in range(more)]
    return (jnp.stack([jnp.stack(row, -2) for row in parts], -3),)


_shifted_sum.defvjp(_shifted_sum_forward, _shifted_sum_backward)


def _grown(y: Array, later: Array, kernel: Array, bias: Array) -> Array:
    """Twice as many values as frames, between 0 and 1: a transposed convolution of three taps.

    [batch * 2, row, position, channel] -> [batch, row, position, 4, channel]
    """
    y = y.reshape(-1, 2, *y.shape[1:])
    even, odd = y[:, 0], y[:, 1]
    before = jnp.pad(odd, [(0, 0), (0, 0), (1, 0), (0, 0)])[:, :, :-1] * later

    def tap(x, n):  # written out, it is fused with what surrounds it
        return sum(x[..., c, None] * kernel[n, c] for c in range(x.shape[-1]))

    parts = [
        tap(even, 0) + tap(before, 2),
        tap(even, 1),
        tap(odd, 0) + tap(even, 2),
        tap(odd, 1),
    ]
    return jnn.sigmoid(jnp.stack(parts, axis=-2) + bias)
