"""Convolutional autoencoders of many blocks of bands at once, as in xumx-sliCQ.

Each block and target has weights of its own, but kernels of few shapes occur. Blocks with kernels
of one shape are a `Group`: their weights are stacked, and one loop runs over them, so that code is
compiled once for each shape instead of once for each block. Where a kernel covers a single band,
the bands of a block, which then do not see each other, lie one behind the other in time.

All kernels are dilated by 2 in time. Even and odd frames do not see each other then: they are items
of a batch, and their kernels are dense. A block with M coefficients a slice has M / 2 frames a
slice, of which slices overlap by half: (slices + 1) * M / 2 in all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array, lax
from jax import nn as jnn

EPSILON = 1e-5
HIDDEN = (25, 55)  # channels of the first and of the second layer
FILL = 0.7  # of the longest block in one loop, that the shortest must have
TRIMS = (1, 2, 1, 0)  # by how many kernels the output of each layer is shorter than the input


@dataclass(frozen=True)
class Group:
    """Blocks whose kernels have one shape, (bands, frames); hashable.

    blocks  their numbers in the transform
    bands   how many each has
    sizes   how many coefficients a slice of each has, in one band
    """

    kernel: tuple[int, int]
    blocks: tuple[int, ...]
    bands: tuple[int, ...]
    sizes: tuple[int, ...]

    def loops(self) -> list[list[int]]:
        """Places in `blocks` of those that run in one loop: of about one length.

        Blocks whose bands see each other run alone, unless others have their shape.
        """
        shapes = list(zip(self.bands, self.sizes, strict=True))
        if self.kernel[0] > 1:
            return [[n for n, one in enumerate(shapes) if one == shape] for shape in {*shapes}]
        lengths = np.array(self.bands) * self.sizes
        found: list[list[int]] = []
        for place in np.argsort(-lengths, kind="stable").tolist():
            if not found or lengths[place] < FILL * lengths[found[-1][0]]:
                found.append([])
            found[-1].append(place)
        return found


@dataclass(frozen=True)
class Layout:
    """How the frames of one block lie in [2 * batch, row, position, channel].

    alone   whether bands are rows; else they follow each other in one row
    bands   of the block
    frames  of each band, all of them
    length  positions of a row, which may be more than are filled
    """

    alone: bool
    bands: int
    frames: int
    length: int

    def pack(self, x: Array) -> Array:
        """[batch, channel, band, frame] -> [2 * batch, row, position, channel]."""
        batch, channels = x.shape[:2]
        rows = self.bands if self.alone else 1
        x = x.reshape(batch, channels, rows, -1, 2).transpose(4, 0, 2, 3, 1)
        x = x.reshape(2 * batch, rows, -1, channels)
        return self._fill(x, axis=2)

    def unpack(self, y: Array) -> Array:
        """[target, batch, row, position, part, channel] to [target, batch, channel, band, value]."""
        filled = self.frames // 2 * (1 if self.alone else self.bands)
        y = y[:, :, :, :filled]
        y = y.reshape(*y.shape[:2], self.bands, -1, y.shape[-1])
        return jnp.moveaxis(y, -1, 2)

    def spread(self, x: Array) -> Array:
        """A value for each band, [target, band] -> [target, row, position]."""
        if self.alone:
            return jnp.broadcast_to(x[..., None], (*x.shape, self.length))
        return self._fill(jnp.repeat(x, self.frames // 2, axis=-1)[:, None], axis=2)

    def _fill(self, x: Array, axis: int) -> Array:
        widths = [(0, 0)] * x.ndim
        widths[axis] = (0, self.length - x.shape[axis])
        return jnp.pad(x, widths)

    def inside(self, first, end, reach: int) -> Array:
        """Where the outputs of the layers are not made of frames outside the track.

        [layer, position], and which positions are not the first of a band, [1, position].

        first, end  of the track's own frames, halved
        reach       of a kernel, in frames of one phase
        """
        at = jnp.arange(self.length)
        position = at % (self.frames // 2)
        filled = at < self.frames // 2 * (1 if self.alone else self.bands)
        kept = [filled & (position >= first) & (position < end - n * reach) for n in TRIMS]
        return jnp.stack([*kept, position > 0]).astype(jnp.float32)


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

    def follow(self, places: Sequence[int], mean: Array, var: Array) -> None:
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

    @nn.compact
    def __call__(
        self,
        frames: Sequence[Array],
        mean: Sequence[Array],
        scale: Sequence[Array],
        span: tuple,
        train: bool,
    ) -> list[Array]:
        """Frames of each block, [batch, channel, band, frame], to masks between 0 and 1.

        [target, batch, channel, band, 2 * frame] for each block. `mean` and `scale` of each block,
        [target, band], are added to and multiplied with the frames before all else. `span` are the
        first slice and the one after the last that are the track's own; the others are silent, and
        nothing is made of them.
        """
        count, (_, reach) = len(self.group.blocks), self.group.kernel
        lead, (inner, wide) = (count, self.targets), HIDDEN
        widths = (self.channels, inner, wide, inner, self.channels)
        kernels = [self._kernel(f"kernel_{n}", lead, *widths[n : n + 2]) for n in range(4)]
        norms = [Norm((*lead, width), name=f"norm_{n}") for n, width in enumerate(widths[1:])]
        growth = self.param("growth", _uniform, (*lead, 3, self.channels, self.channels), 3)
        bias = self.param("growth_bias", _uniform, (*lead, self.channels), 3 * self.channels)
        masks: list[Array] = [jnp.zeros(0)] * count
        alone = self.group.kernel[0] > 1
        for places in self.group.loops():
            every = [frames[n].shape[2:] for n in places]
            length = max(b * f for b, f in every) // 2 if not alone else every[0][1] // 2
            layouts = [Layout(alone, *shape, length) for shape in every]
            at = np.array(places)
            quarter = [self.group.sizes[n] // 4 for n in places]  # frames a slice, halved
            given = {
                "x": jnp.stack([one.pack(frames[n]) for one, n in zip(layouts, places, strict=True)]),
                "mean": jnp.stack([one.spread(mean[n]) for one, n in zip(layouts, places, strict=True)]),
                "scale": jnp.stack([one.spread(scale[n]) for one, n in zip(layouts, places, strict=True)]),
                "inside": jnp.stack(
                    [
                        one.inside(span[0] * q, (span[1] + 1) * q, reach - 1)
                        for one, q in zip(layouts, quarter, strict=True)
                    ]
                ),
                "kernels": [kernel[at] for kernel in kernels],
                "norms": [{key: leaf[at] for key, leaf in norm().items()} for norm in norms],
                "growth": growth[at],
                "growth_bias": bias[at],
            }
            run = partial(_block, train=train, axis_name=self._axis)
            found, moments = lax.map(run, given)
            for number, (n, one) in enumerate(zip(places, layouts, strict=True)):
                masks[n] = one.unpack(found[number])
            if train and not self.is_initializing():
                for norm, (now_mean, now_var) in zip(norms, moments, strict=True):
                    norm.follow(places, now_mean, now_var)
        return masks

    @property
    def _axis(self) -> str | None:
        return None if self.is_initializing() else self.axis_name

    def _kernel(self, name: str, lead: tuple[int, int], fan_in: int, width: int) -> Array:
        bands, frames = self.group.kernel
        shape = (*lead, bands, frames, fan_in, width)
        return self.param(name, _uniform, shape, bands * frames * fan_in)


def _uniform(key, shape: tuple[int, ...], fan_in: int) -> Array:
    """As PyTorch's convolutions begin."""
    limit = fan_in**-0.5
    return nn.initializers.uniform(2 * limit)(key, shape) - limit


def _block(given: dict, train: bool, axis_name: str | None):
    """One block: masks [target, batch, row, position, part, channel], and moments of the norms."""
    x, inside = given["x"], given["inside"]

    def target(of: dict):
        y, moments = (x + of["mean"][..., None]) * of["scale"][..., None], []
        for number, (kernel, norm) in enumerate(zip(of["kernels"], of["norms"], strict=True)):
            y = convolve(y, kernel) if number < 2 else convolve_transposed(y, kernel)
            kept = inside[number][:, None]
            gain, offset, moment = _affine(y, kept, norm, train, axis_name)
            y = jnn.relu(y * gain + offset) * kept
            moments.append(moment)
        return _grown(y, inside[-1][:, None], of["growth"], of["growth_bias"]), moments

    each = {key: given[key] for key in given if key not in ("x", "inside")}
    return lax.map(target, each)


def _affine(y: Array, kept: Array, norm: dict, train: bool, axis_name: str | None):
    """Gain and offset of batch normalisation; and, in training, moments of what is kept."""
    mean, var, moment = norm["mean"], norm["var"], ()
    if train:
        count = kept.sum() * (y.shape[0] * y.shape[1])
        total = (y * kept).sum((0, 1, 2))
        if axis_name is not None:
            count, total = lax.psum(count, axis_name), lax.psum(total, axis_name)
        mean = total / count
        square = (jnp.square(y - mean) * kept).sum((0, 1, 2))
        if axis_name is not None:
            square = lax.psum(square, axis_name)
        var = square / count
        moment = (mean, square / jnp.maximum(count - 1, 1))
    gain = norm["scale"] * lax.rsqrt(var + EPSILON)
    return gain, norm["bias"] - mean * gain, moment


def convolve(x: Array, kernel: Array) -> Array:
    """Correlate [item, row, position, in] with [rows, positions, in, out]; fewer rows come out.

    There are as many positions as before: past the end the input is silent.
    """
    padding = [(0, 0), (0, kernel.shape[1] - 1)]
    return _convolution(x, kernel, padding)


def convolve_transposed(x: Array, kernel: Array) -> Array:
    """The adjoint of `convolve` of a kernel [rows, positions, out, in], as PyTorch's layer is.

    The kernel here is [rows, positions, in, out]; more rows come out.
    """
    rows = kernel.shape[0] - 1
    padding = [(rows, rows), (kernel.shape[1] - 1, 0)]
    return _convolution(x, jnp.flip(kernel, (0, 1)), padding)


def _convolution(x: Array, kernel: Array, padding) -> Array:
    numbers = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(
        x, kernel, (1, 1), padding, dimension_numbers=numbers, precision=lax.Precision.HIGHEST
    )


def _grown(y: Array, later: Array, kernel: Array, bias: Array) -> Array:
    """Twice as many values as frames, between 0 and 1: a transposed convolution of three taps.

    [2 * batch, row, position, channel] -> [batch, row, position, 4, channel]
    """
    even, odd = jnp.split(y, 2)
    before = jnp.pad(odd, [(0, 0), (0, 0), (1, 0), (0, 0)])[:, :, :-1] * later

    def tap(x, n):
        return jnp.einsum("brpi,io->brpo", x, kernel[n], precision=lax.Precision.HIGHEST)

    parts = [
        tap(even, 0) + tap(before, 2),
        tap(even, 1),
        tap(odd, 0) + tap(even, 2),
        tap(odd, 1),
    ]
    return jnn.sigmoid(jnp.stack(parts, axis=-2) + bias)
