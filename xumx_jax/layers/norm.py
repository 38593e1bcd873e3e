"""Batch normalisation with the statistics of the whole, possibly distributed, batch."""

import jax.numpy as jnp
from flax import linen as nn
from jax import Array, lax


class BatchNorm(nn.Module):
    """Normalise the last axis of [..., feature] over all other axes.

    In training the batch is normalised with its biased variance and the running variance takes the
    unbiased one, as NNabla and PyTorch do (flax's own layer takes the biased one for both). Where
    `axis_name` is given, statistics are those of all devices along it: batch 16 means 16 on any
    number of devices.
    """

    axis_name: str | None = None
    momentum: float = 0.9
    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        features = x.shape[-1:]
        scale = self.param("scale", nn.initializers.ones, features)
        bias = self.param("bias", nn.initializers.zeros, features)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, features)
        running_var = self.variable("batch_stats", "var", jnp.ones, features)
        if not train:
            gain = scale * lax.rsqrt(running_var.value + self.epsilon)
            return x * gain + (bias - running_mean.value * gain)

        axes = tuple(range(x.ndim - 1))
        rows = x.size // x.shape[-1]
        mean = self._everywhere(x.mean(axes))
        var = self._everywhere(jnp.square(x - mean).mean(axes))
        if not self.is_initializing():
            if self.axis_name is not None:
                rows = rows * lax.axis_size(self.axis_name)
            unbiased = var * (rows / max(rows - 1, 1))
            self._follow(running_mean, mean)
            self._follow(running_var, unbiased)
        return (x - mean) * (scale * lax.rsqrt(var + self.epsilon)) + bias

    def _everywhere(self, mean: Array) -> Array:
        if self.axis_name is None or self.is_initializing():
            return mean
        return lax.pmean(mean, self.axis_name)

    def _follow(self, running: nn.Variable, now: Array) -> None:
        running.value = self.momentum * running.value + (1 - self.momentum) * now
