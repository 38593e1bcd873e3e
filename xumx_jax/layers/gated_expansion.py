"""The end of Demucs' residual branch: widened, normalised, gated and added, in one pass.

The widened channels, eight or sixteen times as many as go in, are never in memory as a whole,
neither on the way nor for the gradient. Their mean and variance follow from the mean and covariance
of the few that go in, and the gradient from sums of products with those few, which are taken in
strips that a CPU holds at hand.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax import nn as jnn

from xumx_jax.layers.activations import glu
from xumx_jax.layers.convolution import rows_by
from xumx_jax.layers.dense import PRECISION, asked
from xumx_jax.layers.group_norm import EPSILON, group_norm

FEW = 8  # channels whose products are written out: XLA merges them with what is made of them
STRIP = 1 << 18  # numbers of the widened channels in a strip
MANY = 1 << 22  # of these numbers, from which on there are strips: each loop has to be compiled


class Weights(NamedTuple):
    """Of the product, of the normalisation, and of what is added."""

    kernel: Array  # [in, 2 * channel]
    bias: Array
    scale: Array  # [2 * channel], as shift and bias are
    shift: Array
    factor: Array  # [channel]


class Statistics(NamedTuple):
    """Of every item."""

    mean: Array  # of the channels that go in, [batch, item, in]
    covariance: Array  # of these, [batch, item, in, in]
    level: Array  # mean of the widened channels, [batch, item, 2 * channel]
    centre: Array  # mean of all of them, [batch, item, 1]
    gain: Array  # one over the deviation of all of them, [batch, item, 1]


def add_gated(x: Array, y: Array, weights: Weights, axis: int) -> Array:
    """x + factor * glu(normalised(y @ kernel + bias) * scale + shift).

    `x` is [batch, row, column, channel] and `y` has fewer channels. An item is what lies along
    `axis`, -3 or -2, in all channels; it is normalised as by `GroupNorm(1, (axis,))`.
    """
    if asked() != "float32":  # whose products are fast; the layers one by one
        wide = rows_by(y.reshape(-1, y.shape[-1]), weights.kernel) + weights.bias
        wide = wide.reshape(*y.shape[:-1], -1)
        return x + weights.factor * _gated(wide, weights.scale, weights.shift, axis)
    # Under shard_map, a zero made from x marks shared weights as this device's own; see
    # `layers.dense`.
    zero = jnp.zeros_like(x[0, 0, 0, 0])
    weights = Weights(*(each + zero for each in weights))
    return _add_gated(axis, x, y, weights)


@partial(jax.checkpoint, static_argnums=3)
def _gated(wide: Array, scale: Array, shift: Array, axis: int) -> Array:
    return glu(group_norm(wide, scale, shift, 1, (axis,)))


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _add_gated(axis: int, x: Array, y: Array, weights: Weights) -> Array:
    return _forward(axis, x, y, weights)[0]


def _forward(axis: int, x: Array, y: Array, weights: Weights):
    gain, shift = _normalisation(_statistics(y, weights, axis), weights, axis)
    values, gates = _halves(y, weights.kernel, gain, shift)
    return x + values * gates * weights.factor, (y, weights)


def _statistics(y: Array, weights: Weights, axis: int) -> Statistics:
    kernel, items = weights.kernel, _by_items(y, axis)
    mean = items.mean(-2)
    items = items - mean[..., None, :]
    covariance = jnp.einsum("bitk,bitl->bikl", items, items, precision=PRECISION) / y.shape[axis]
    level = jnp.matmul(mean, kernel, precision=PRECISION) + weights.bias
    centre = level.mean(-1, keepdims=True)
    alike = jnp.matmul(kernel, kernel.T, precision=PRECISION) / kernel.shape[1]
    spread = (covariance * alike).sum((-2, -1))[..., None]
    var = spread + jnp.square(level - centre).mean(-1, keepdims=True)
    return Statistics(mean, covariance, level, centre, lax.rsqrt(var + EPSILON))


def _by_items(x: Array, axis: int) -> Array:
    """[batch, row, column, channel] -> [batch, item, time, channel], and back."""
    return jnp.moveaxis(x, axis, -2)


def _normalisation(found: Statistics, weights: Weights, axis: int) -> tuple[Array, Array]:
    """What y @ kernel is multiplied by, and what is then added: as x, with length 1 along time."""
    gain = found.gain * weights.scale
    shift = (weights.bias - found.centre) * gain + weights.shift
    return jnp.expand_dims(gain, axis % 4), jnp.expand_dims(shift, axis % 4)


def _halves(y: Array, kernel: Array, gain: Array, shift: Array) -> tuple[Array, Array]:
    """[..., in] -> values and gates, [..., channel] each."""
    inputs, channels = len(kernel), kernel.shape[1] // 2

    def half(part):
        if inputs <= FEW:
            terms = [y[..., at : at + 1] * kernel[at, part] for at in range(inputs)]
            wide = sum(terms[1:], terms[0])
        else:
            wide = (y.reshape(-1, inputs) @ kernel[:, part]).reshape(*y.shape[:-1], -1)
        return wide * gain[..., part] + shift[..., part]

    return half(slice(channels)), jnn.sigmoid(half(slice(channels, None)))


def _backward(axis: int, saved, dz: Array):
    y, weights = saved
    found = _statistics(y, weights, axis)
    parts = y, dz, *_normalisation(found, weights, axis), weights.kernel, weights.factor
    sums, back = lax.platform_dependent(
        *parts, cpu=partial(_in_strips, axis), default=partial(_products, axis)
    )
    return dz, *_gradients(axis, y, weights, found, sums, back)


def _products(axis: int, y, dz, gain, shift, kernel, factor, counted=None) -> tuple[Array, Array]:
    """What the gradients follow from: (sums [batch, item, in + 1, 2 * channel], back, like y).

    With w, the gradient of what is normalised without `factor`, the sums are over time, of y * w
    and in the last row of w alone; `back` is w * factor * gain @ kernel.T. Positions in time only
    count in sums where `counted` is 1.
    """
    items, dz, gain, shift = (_by_items(each, axis) for each in (y, dz, gain, shift))
    values, gates = _halves(items, kernel, gain, shift)
    # Two arrays: on a CPU, to lay them side by side takes longer than all the rest.
    parts = dz * gates, dz * values * gates * (1 - gates)
    rows = jnp.concatenate([items, jnp.ones_like(items[..., :1])], axis=-1)
    if counted is not None:
        rows = rows * counted[:, None]
    sums = [jnp.einsum("bitk,bitc->bikc", rows, part) for part in parts]
    ways = jnp.split(gain * jnp.tile(factor, 2) * kernel, 2, axis=-1)  # [batch, item, in, channel]
    first, second = (
        jnp.einsum("bitc,bikc->bitk", part, way) for part, way in zip(parts, ways, strict=True)
    )
    return jnp.concatenate(sums, axis=-1), _by_items(first + second, axis)


def _in_strips(axis: int, y, dz, gain, shift, kernel, factor) -> tuple[Array, Array]:
    """`_products` of some columns of one item of the batch after the other."""
    batch, rows, columns, channels = dz.shape
    size = min(columns, max(1, STRIP // (2 * rows * channels)))
    count = -(-columns // size)
    if batch * count == 1 or 2 * dz.size <= MANY:
        return _products(axis, y, dz, gain, shift, kernel, factor)
    along_time = axis == -2

    def add(number, made):
        item, strip = number // count, number % count
        start = jnp.minimum(strip * size, columns - size)  # the last one overlaps

        def cut(x):
            whole = x.shape[2] == 1
            return lax.dynamic_slice(
                x,
                (item, 0, 0 if whole else start, 0),
                (1, x.shape[1], 1 if whole else size, x.shape[3]),
            )

        counted = start + jnp.arange(size) >= strip * size if along_time else None
        cuts = cut(y), cut(dz), cut(gain), cut(shift)
        part, back = _products(axis, *cuts, kernel, factor, counted)
        sums, whole_back = made
        place = (item, 0 if along_time else start, 0, 0)
        if along_time:
            part = part + lax.dynamic_slice(sums, place, part.shape)
        sums = lax.dynamic_update_slice(sums, part, place)
        return sums, lax.dynamic_update_slice(whole_back, back, (item, 0, start, 0))

    items = rows if along_time else columns
    zero = jnp.zeros_like(dz[:1, :1, :1, :1])
    sums = jnp.broadcast_to(zero, (batch, items, len(kernel) + 1, 2 * channels))
    return lax.fori_loop(0, batch * count, add, (sums, jnp.broadcast_to(zero, y.shape)))


def _gradients(axis: int, y, weights: Weights, found: Statistics, sums, back) -> tuple:
    """The gradients of y and the weights, from the sums of `_products`."""
    kernel, bias, scale, shift, factor = weights
    mean, covariance, level, centre, gain = found
    dot = partial(jnp.einsum, precision=PRECISION)
    length, channels = y.shape[axis], len(factor)
    products, totals = sums[:, :, :-1], sums[:, :, -1]
    wide = dot("kc,bikc->bic", kernel, products)  # sums over time of w * (y @ kernel)
    values = gain * scale * wide + ((bias - centre) * gain * scale + shift) * totals
    dfactor = values[..., :channels].sum((0, 1))
    # From here on of v = w * factor, the gradient of the normalised channels before scale and shift
    # are applied, for which n stands.
    twice = jnp.tile(factor, 2)
    products, totals, wide = products * twice, totals * twice, wide * twice
    turned = gain * (wide + (bias - centre) * totals)  # v * n
    # the gradient of y @ kernel is gain * (v * scale - mean_v - n * mean_turned)
    mean_v, mean_turned = (
        (each * scale).mean(-1, keepdims=True) / length for each in (totals, turned)
    )
    dbias = gain * (totals * scale - length * (mean_v + mean_turned * gain * (level - centre)))
    squares = length * (covariance + mean[..., None] * mean[..., None, :])  # y * y, over time
    crossed = dot("bikl,lc->bikc", squares, kernel)
    crossed += length * mean[..., None] * (bias - centre)[..., None, :]  # y * n / gain
    dkernel = products * scale - (length * mean_v * mean)[..., None]
    dkernel = gain[..., None] * (dkernel - (mean_turned * gain)[..., None] * crossed)
    # and that of y, n being affine in it
    items = _by_items(y, axis)
    again = dot("bitk,kl->bitl", items, dot("kc,lc->kl", kernel, kernel))
    again += dot("bic,kc->bik", bias - centre, kernel)[:, :, None]
    less = mean_v * kernel.sum(1)
    dy = (gain * less)[:, :, None] + (gain * gain * mean_turned)[:, :, None] * again
    dkernel, dbias, dscale, dshift = (each.sum((0, 1)) for each in (dkernel, dbias, turned, totals))
    return back - _by_items(dy, axis), Weights(dkernel, dbias, dscale, dshift, dfactor)


_add_gated.defvjp(_forward, _backward)
