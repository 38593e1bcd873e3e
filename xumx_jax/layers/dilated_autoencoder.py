"""One convolutional autoencoder on pairs of frames: four layers dilated in time, one that grows.

Positions are pairs of frames; even and odd frames are items of a batch, and their kernels dense.
All outputs have as many positions as the input: what is made of frames outside the track is set to
0, where the original, which pads nothing, has fewer frames.
"""

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax import nn as jnn

from xumx_jax.layers.convolution import Step, correlate

EPSILON = 1e-5
TRIMS = (1, 2, 1, 0)  # by how many kernels the output of each layer is shorter than the input
GROWTH = 3  # taps of the last layer, which makes two values of each frame


def autoencoder(
    shared: dict, span: tuple, reach: int, train: bool, axis_name: str | None, of: tuple
) -> tuple[Array, tuple]:
    """One block and target: masks [batch, row, position, 4, channel], and moments of the norms.

    shared     of all blocks: "x" [block, 2 * batch, row, position, channel], "frame" and "band" of
               each position, and "pairs" of frames in a slice
    span       the first slice and the one after the last that are the track's own
    reach      of a kernel, in positions
    axis_name  of the devices that share a training batch
    of         the number of the block, and its and the target's leaves

    Moments, in training, are means and variances of all layers' channels, else ().
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
            norm = affine(*norm, mean, var)
            moments.append(moment)
        y = jnn.relu(y * norm[0] + norm[1]) * kept
        start += y.shape[-1]
    joined = tuple(map(jnp.concatenate, zip(*moments, strict=True)))
    return _grown(y, frame > 0, leaf["growth"], leaf["growth_bias"]), joined


def affine(scale: Array, bias: Array, mean: Array, var: Array) -> tuple[Array, Array]:
    """Gain and offset of batch normalisation."""
    gain = scale * lax.rsqrt(var + EPSILON)
    return gain, bias - mean * gain


def _moments(y: Array, kept: Array, axis_name: str | None):
    """Mean and biased variance of what is kept of [item, row, position, channel].

    And (mean, unbiased variance), which running statistics follow.
    """

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
    plan = Step(), Step(padding=(0, kernel.shape[1] - 1))
    return correlate(plan, "float32", x, kernel)


def _turned(x: Array, kernel: Array) -> Array:
    """The transposed convolution with a kernel [rows, positions, in, out]: more rows come out."""
    rows, reach = len(kernel) - 1, kernel.shape[1] - 1
    plan = Step(padding=(rows, rows)), Step(padding=(reach, 0))
    return correlate(plan, "float32", x, kernel[::-1, ::-1])


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
