"""Group normalisation, channels last."""

import jax.numpy as jnp
from flax import linen as nn
from jax import Array, lax

EPSILON = 1e-5


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
    """Normalise [batch, row, column, channel] over `axes` and each of `groups` groups."""
    grouped = x.reshape(*x.shape[:-1], groups, -1)
    over = (*(axis - 1 for axis in axes), -1)
    mean = grouped.mean(over, keepdims=True)
    # in one pass with the mean; a signal's mean is small beside its deviation here
    var = jnp.maximum(jnp.square(grouped).mean(over, keepdims=True) - jnp.square(mean), 0.0)
    gain = lax.rsqrt(var + EPSILON)
    wide = scale.reshape(groups, -1)
    y = grouped * (gain * wide) + (bias.reshape(groups, -1) - mean * gain * wide)
    return y.reshape(x.shape)
