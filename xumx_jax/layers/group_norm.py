"""Group normalisation, channels last."""

import math
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array, lax

EPSILON = 1e-5
COLUMNS = 512  # that are summed at once


class GroupNorm(nn.Module):
    """Normalise each item of [batch, row, column, channel] by groups of its channels.

    groups  number of groups; each has statistics of its own
    axes    over which they are taken, beside the group's channels: rows and columns, or one of both
    then    what is made of the result: with a function of single numbers, the gradient keeps only
            x and computes the rest again, which costs a CPU less than to write and read it

    Wu and He 2018; the variance is the biased one, as PyTorch's.
    """

    groups: int
    axes: tuple[int, ...] = (-3, -2)
    then: Callable[[Array], Array] | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        channels = x.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (channels,))
        bias = self.param("bias", nn.initializers.zeros, (channels,))
        if self.then is None:
            return group_norm(x, scale, bias, self.groups, self.axes)
        then = self.then

        @jax.checkpoint
        def both(x, scale, bias):
            return then(group_norm(x, scale, bias, self.groups, self.axes))

        return both(x, scale, bias)


def group_norm(x: Array, scale: Array, bias: Array, groups: int, axes: tuple[int, ...]) -> Array:
    """Normalise [batch, row, column, channel] over `axes` and each of `groups` groups.

    The gradient is written out: left to itself, XLA takes ten times as long for it on a CPU.
    """
    # Under shard_map, a zero made from x marks shared weights as this device's own; see
    # `layers.dense`.
    zero = jnp.zeros_like(x[0, 0, 0])
    return _group_norm(groups, axes, x, scale + zero, bias + zero)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _group_norm(groups: int, axes: tuple[int, ...], x: Array, scale: Array, bias: Array) -> Array:
    return _forward(groups, axes, x, scale, bias)[0]


def _forward(groups, axes, x, scale, bias):
    grouped, over = _grouped(x, groups), (*(axis - 1 for axis in axes), -1)
    wide = scale.reshape(groups, -1)
    # As differences to one number of each group: squares of what is far from 0 would leave nothing
    # of the variance, and a mean of its own would take one more pass.
    level = grouped
    for axis in over:
        level = lax.slice_in_dim(level, 0, 1, axis=axis)
    difference = grouped - level
    mean = difference.mean(over, keepdims=True)
    var = jnp.square(difference).mean(over, keepdims=True) - jnp.square(mean)
    gain = lax.rsqrt(jnp.maximum(var, 0.0) + EPSILON)
    shift = bias.reshape(groups, -1) - mean * gain * wide
    y = difference * (gain * wide) + shift
    return y.reshape(x.shape), (x, scale, level, mean, gain)


def _backward(groups, axes, saved, dy):
    x, scale, level, mean, gain = saved
    # Of dy and of dy times x, all that is needed are sums over `axes`.
    sums = _sums(x, _per_channel(level, x), dy, axes)
    dy_sum, product_sum = (_grouped(each, groups) for each in sums)
    turned_sum = (product_sum - mean * dy_sum) * gain  # of dy times the normalised x
    others = tuple(axis for axis in range(dy_sum.ndim - 2))
    dscale, dbias = (sums.sum(others).reshape(-1) for sums in (turned_sum, dy_sum))
    wide = scale.reshape(groups, -1)
    count = math.prod(x.shape[axis] for axis in axes) * (x.shape[-1] // groups)
    mean_dy = (dy_sum * wide).sum(-1, keepdims=True) / count
    mean_turned = (turned_sum * wide).sum(-1, keepdims=True) / count
    # dx = gain * (dy * scale - mean_dy - (x - level - mean) * gain * mean_turned)
    slope = -gain * gain * mean_turned
    shift = -gain * mean_dy - slope * mean
    dx = _grouped(dy, groups) * (gain * wide) + ((_grouped(x, groups) - level) * slope + shift)
    return dx.reshape(x.shape), dscale, dbias


def _grouped(x: Array, groups: int) -> Array:
    """[..., channel] -> [..., group, channel]."""
    return x.reshape(*x.shape[:-1], groups, -1)


def _per_channel(level: Array, x: Array) -> Array:
    """[..., group, 1] -> [..., channel], as many as `x` has."""
    each = x.shape[-1] // level.shape[-2]
    return jnp.repeat(level, each, axis=-1).reshape(*level.shape[:-2], -1)


def _products(x: Array, level: Array, dy: Array) -> tuple[Array, Array]:
    return dy, dy * (x - level)


def _sums(x: Array, level: Array, dy: Array, axes: tuple[int, ...]) -> tuple[Array, ...]:
    """Sums of `_products` over `axes` of [batch, row, column, channel]; these keep length 1."""
    first, *others = axes
    rows, columns = x.shape[-3:-1]
    if first == -3 and rows == 1 and others:
        first, others = -2, []
    long = first == -2 and columns > 2 * COLUMNS
    if first == -2 and not long:
        return tuple(term.sum(axes, keepdims=True) for term in _products(x, level, dy))
    size = COLUMNS if long else 1
    sums = _slices(x, level, dy, first, size)
    others = [-2] if long else others
    sums = tuple(one.sum(others, keepdims=True) for one in sums) if others else sums
    rest = x.shape[first] % size
    if not rest:
        return sums
    x, dy = (lax.slice_in_dim(each, each.shape[first] - rest, None, axis=first) for each in (x, dy))
    ends = _products(x, level, dy)
    return tuple(one + end.sum(first, keepdims=True) for one, end in zip(sums, ends, strict=True))


def _slices(x: Array, level: Array, dy: Array, axis: int, size: int) -> tuple[Array, ...]:
    """Sums of `_products` over whole slices of `size` along an axis, one by one: those have `size`.

    XLA's own sums over it read single numbers on a CPU: 14 times as slow.
    """

    def add(index, sums):
        part, dpart = (lax.dynamic_slice_in_dim(each, index * size, size, axis) for each in (x, dy))
        terms = _products(part, level, dpart)
        return tuple(one + term for one, term in zip(sums, terms, strict=True))

    zero = jnp.zeros_like(lax.slice_in_dim(x, 0, size, axis=axis))
    return lax.fori_loop(0, x.shape[axis] // size, add, (zero, zero))


_group_norm.defvjp(_forward, _backward)
