"""Group normalisation, channels last."""

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

    Wu and He 2018; the variance is the biased one, as PyTorch's.
    """

    groups: int
    axes: tuple[int, ...] = (-3, -2)

    @nn.compact
    def __call__(self, x: Array) -> Array:
        channels = x.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (channels,))
        bias = self.param("bias", nn.initializers.zeros, (channels,))
        return group_norm(x, scale, bias, self.groups, self.axes)


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
    grouped = x.reshape(*x.shape[:-1], groups, -1)
    over = (*(axis - 1 for axis in axes), -1)
    mean = grouped.mean(over, keepdims=True)
    # in one pass with the mean; a signal's mean is small beside its deviation here
    var = jnp.maximum(jnp.square(grouped).mean(over, keepdims=True) - jnp.square(mean), 0.0)
    gain = lax.rsqrt(var + EPSILON)
    wide = scale.reshape(groups, -1)
    y = grouped * (gain * wide) + (bias.reshape(groups, -1) - mean * gain * wide)
    return y.reshape(x.shape), (x, scale, mean, gain)


def _backward(groups, axes, saved, dy):
    x, scale, mean, gain = saved
    # Of dy and of dy * x, all that is needed are sums over `axes`.
    dy_sum, product_sum = (
        sums.reshape(*sums.shape[:-1], groups, -1) for sums in _sums(x, dy, axes)
    )
    turned_sum = (product_sum - mean * dy_sum) * gain  # of dy times the normalised x
    others = tuple(axis for axis in range(dy_sum.ndim - 2))
    dscale, dbias = (sums.sum(others).reshape(-1) for sums in (turned_sum, dy_sum))
    wide = scale.reshape(groups, -1)
    count = x.shape[-1] // groups
    for axis in axes:
        count *= x.shape[axis]
    mean_dy = (dy_sum * wide).sum(-1, keepdims=True) / count
    mean_turned = (turned_sum * wide).sum(-1, keepdims=True) / count
    # dx = gain * (dy * scale - mean_dy - (x - mean) * gain * mean_turned)
    slope = -gain * gain * mean_turned
    level = -gain * mean_dy - slope * mean
    grouped, dgrouped = (each.reshape(*each.shape[:-1], groups, -1) for each in (x, dy))
    dx = dgrouped * (gain * wide) + (grouped * slope + level)
    return dx.reshape(x.shape), dscale, dbias


def _sums(x: Array, dy: Array, axes: tuple[int, ...]) -> tuple[Array, ...]:
    """Sums of dy and dy * x over `axes` of [batch, row, column, channel], which keep length 1."""
    batch, rows, columns, channels = x.shape
    if rows == 1 and columns > 2 * COLUMNS and -2 in axes:
        whole = columns - columns % COLUMNS
        shape = batch, -1, COLUMNS, channels
        main = _sums_of_rows(x[..., :whole, :].reshape(shape), dy[..., :whole, :].reshape(shape))
        ends = _sums(x[..., whole:, :], dy[..., whole:, :], axes)
        sums = zip(main, ends, strict=True)
        return tuple(one.sum(-2, keepdims=True) + end for one, end in sums)
    if -3 not in axes:
        return dy.sum(axes, keepdims=True), (dy * x).sum(axes, keepdims=True)
    sums = _sums_of_rows(x, dy)
    return sums if axes == (-3,) else tuple(one.sum(-2, keepdims=True) for one in sums)


def _sums_of_rows(x: Array, dy: Array) -> tuple[Array, Array]:
    """Sums of dy and dy * x over the second axis, whole rows one by one.

    XLA's own sums over it read single numbers: 14 times as slow.
    """

    def add(row, sums):
        one, other = (lax.dynamic_index_in_dim(each, row, 1) for each in (dy, x))
        return sums[0] + one, sums[1] + one * other

    zero = jnp.zeros_like(x[:, :1])
    return lax.fori_loop(0, x.shape[1], add, (zero, zero))


_group_norm.defvjp(_forward, _backward)
