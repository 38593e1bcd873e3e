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
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array, lax
from jax import nn as jnn

from xumx_jax.layers.convolution import Step, correlate, symmetric, transposed

EPSILON = 1e-5
HIDDEN = (25, 55)  # channels of the first and of the second layer
FILL = 0.8  # of the longest block in a loop, that the shortest must have
TRIMS = (1, 2, 1, 0)  # by how many kernels the output of each layer is shorter than the input
GROWTH = 3  # taps of the last layer, which makes two values of each frame


@dataclass(frozen=True)
class Group:
    """Blocks whose kernels have one shape, (bands, frames); hashable.

    blocks  their numbers in the transform
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

    def loops(self) -> list[list[int]]:
        """Places in `blocks` of those that run in one loop: of about one length.

        Blocks whose bands see each other share one only with blocks of their shape.
        """
        shapes = list(zip(self.bands, self.pairs, strict=True))
        if self.rows:
            same = dict.fromkeys(shapes)
            return [[n for n, one in enumerate(shapes) if one == shape] for shape in same]
        lengths = np.array(self.bands) * self.pairs
        found: list[list[int]] = []
        for place in np.argsort(-lengths, kind="stable").tolist():
            if not found or lengths[place] < FILL * lengths[found[-1][0]]:
                found.append([])
            found[-1].append(place)
        return found

    def positions(self, places: list[int], slices: int) -> int:
        """How many pairs of frames the rows of such a loop hold."""
        return max((1 if self.rows else self.bands[n]) * slices * self.pairs[n] for n in places)


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


class Norm(nn.Module):
    """What batch normalisation has for each block and target, [block, target, channel] each."""

    shape: tuple[int, int, int]

    def setup(self):
        self.scale = self.param("scale", nn.initializers.ones, self.shape)
        self.bias = self.param("bias", nn.initializers.zeros, self.shape)
        self.mean = self.variable("batch_stats", "mean", jnp.zeros, self.shape)
        self.var = self.variable("batch_stats", "var", jnp.ones, self.shape)

    def __call__(self) -> dict[str, Array]:
        return {
            "scale": self.scale,
            "bias": self.bias,
            "mean": self.mean.value,
            "var": self.var.value,
        }

    def follow(self, places: list[int], mean: Array, var: Array) -> None:
        """Move the running statistics of these blocks a tenth of the way, as PyTorch does."""
        at = np.array(places)
        for running, now in ((self.mean, mean), (self.var, var)):
            before = running.value[at]
            running.value = running.value.at[at].set(before + 0.1 * (now - before))


class BandAutoencoders(nn.Module):
    """The autoencoders of all blocks of a group, for all targets.

    group      the blocks
    targets    how many have weights of their own
    channels   of the input and of the masks
    axis_name  of the devices that share a training batch
    """

    group: Group
    targets: int
    channels: int = 2
    axis_name: str | None = None

    def setup(self):
        rows, frames = self.group.kernel
        lead, (inner, wide) = (len(self.group.blocks), self.targets), HIDDEN
        widths = (self.channels, inner, wide, inner, self.channels)

        def kernel(name: str, taps: tuple[int, ...], fan_in: int, width: int, fan: int) -> Array:
            limit = symmetric(float(np.prod(taps) * fan) ** -0.5)
            return self.param(name, limit, (*lead, *taps, fan_in, width))

        # PyTorch counts a transposed kernel's outputs as inputs when it draws initial weights
        self.kernels = [
            kernel(f"kernel_{n}", (rows, frames), a, b, a if n < 2 else b)
            for n, (a, b) in enumerate(zip(widths, widths[1:], strict=False))
        ]
        self.norms = [Norm((*lead, width), name=f"norm_{n}") for n, width in enumerate(widths[1:])]
        out = self.channels
        self.growth = kernel("growth", (GROWTH,), out, out, out)
        self.growth_bias = self.param("growth_bias", symmetric((GROWTH * out) ** -0.5), (*lead, out))

    def __call__(
        self, table: Array, mean: Array, scale: Array, span: tuple, train: bool
    ) -> list[Array]:
        """The table of pairs, [slice, pair, batch, 2, channel], to masks between 0 and 1.

        [block, target, batch, row, position, 4 values, channel] for each of the group's loops. `mean` and
        `scale`, [block, target, band], are added to and multiplied with the frames before all else;
        there may be more bands than a block has. `span` holds the first slice and the one after the
        last that are the track's own; the others are silent, and nothing is made of them.
        """
        slices, pairs, batch, _, channels = table.shape
        flat, found = table.reshape(slices * pairs, -1), []
        for places in self.group.loops():
            at, where = np.array(places), self._places(places, slices)
            x = flat.at[where.slice * pairs + where.column].get(mode="promise_in_bounds")
            x = jnp.moveaxis(x.reshape(*x.shape[:3], 2 * batch, channels), 3, 1)
            given = {
                "x": x,
                "inside": self._inside(places, where, span),
                "band": jnp.minimum(where.band, mean.shape[-1] - 1),
                "mean": mean[at],
                "scale": scale[at],
                "kernels": [kernel[at] for kernel in self.kernels],
                "norms": [{key: leaf[at] for key, leaf in norm().items()} for norm in self.norms],
                "growth": self.growth[at],
                "growth_bias": self.growth_bias[at],
            }
            axis_name = None if self.is_initializing() else self.axis_name
            masks, moments = lax.map(partial(_block, train=train, axis_name=axis_name), given)
            found.append(masks)
            if train and not self.is_initializing():
                for norm, (now_mean, now_var) in zip(self.norms, moments, strict=True):
                    norm.follow(places, now_mean, now_var)
        return found

    def _places(self, places: list[int], slices: int) -> Places:
        """Where the pairs of frames of these blocks are in a table of so many slices."""
        group = self.group
        start, quarter = (
            jnp.array([each[n] for n in places], jnp.int32)[:, None, None]
            for each in (group.starts, group.pairs)
        )
        length = slices * quarter
        at = jnp.arange(group.positions(places, slices), dtype=jnp.int32)
        if group.rows:
            band, frame = jnp.arange(group.bands[places[0]], dtype=jnp.int32)[:, None], at
            band, frame = jnp.broadcast_arrays(band, frame[None] + 0 * length)
        else:
            band, frame = at // length, at % length
        # what lies beyond the last band of a block is another's, and not used
        bands = jnp.array([group.bands[n] for n in places], jnp.int32)[:, None, None]
        column = start + jnp.minimum(band, bands - 1) * quarter + frame % quarter
        return Places(column, frame // quarter, frame, band)

    def _inside(self, places: list[int], where: Places, span: tuple) -> Array:
        """[block, layer, 1, position]: where outputs are not made of frames outside the track.

        One layer more: which positions are not the first of a band.
        """
        group, reach = self.group, self.group.kernel[1] - 1
        bands, quarter = (
            jnp.array([each[n] for n in places], jnp.int32)[:, None, None]
            for each in (group.bands, group.pairs)
        )
        frame, filled = where.frame[:, :1], where.band[:, :1] < bands  # alike in all rows
        first, end = span[0] * quarter, (span[1] + 1) * quarter
        kept = [filled & (frame >= first) & (frame < end - n * reach) for n in TRIMS]
        return jnp.stack([*kept, frame > 0], axis=1).astype(jnp.float32)


def _block(given: dict, train: bool, axis_name: str | None):
    """One block: masks [target, batch, row, position, 4, channel], and moments of the norms."""
    shared = {key: given[key] for key in ("x", "inside", "band")}
    each = {key: value for key, value in given.items() if key not in shared}
    return lax.map(partial(_target, shared, train=train, axis_name=axis_name), each)


def _target(shared: dict, of: dict, train: bool, axis_name: str | None):
    """One block and target: masks [batch, row, position, 4, channel], and moments of the norms."""
    inside = shared["inside"][..., None]
    mean, scale = (
        of[name].at[shared["band"]].get(mode="promise_in_bounds")[..., None]
        for name in ("mean", "scale")
    )
    y = (shared["x"] + mean) * scale
    moments, layers = [], (_correlated, _correlated, _turned, _turned_few)
    for layer, kernel, norm, kept in zip(layers, of["kernels"], of["norms"], inside, strict=False):
        y = layer(y, kernel)
        gain, offset, moment = _affine(y, kept, norm, train, axis_name)
        y = jnn.relu(y * gain + offset) * kept
        moments.append(moment)
    return _grown(y, inside[-1], of["growth"], of["growth_bias"]), moments


def _affine(y: Array, kept: Array, norm: dict, train: bool, axis_name: str | None):
    """Gain and offset of batch normalisation; and, in training, moments of what is kept."""
    mean, var, moment = norm["mean"], norm["var"], ()
    if train:

        def everywhere(value):
            return value if axis_name is None else lax.psum(value, axis_name)

        count = everywhere(kept.sum() * (y.shape[0] * y.shape[1]))
        mean = everywhere((y * kept).sum((0, 1, 2))) / count
        square = everywhere((jnp.square(y - mean) * kept).sum((0, 1, 2)))
        var = square / count
        moment = (mean, square / jnp.maximum(count - 1, 1))
    gain = norm["scale"] * lax.rsqrt(var + EPSILON)
    return gain, norm["bias"] - mean * gain, moment


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
    """The same, faster where few channels come out."""
    rows, positions = len(kernel), x.shape[2]
    parts = [transposed(x, taps, None, 1)[..., :positions, :] for taps in kernel]
    edges = [(0, 0)] * 2
    return sum(
        jnp.pad(part, [edges[0], (row, rows - 1 - row), *edges]) for row, part in enumerate(parts)
    )


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
