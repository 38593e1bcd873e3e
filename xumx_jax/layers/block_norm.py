"""Batch normalisation of blocks of bands, each with statistics of its own."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array, lax

PRECISION = lax.Precision.HIGHEST
Moments = tuple[Array, Array]  # mean, unbiased variance, [block, source, feature]


class BlockNorm(nn.Module):
    """Normalise features of bands, [band, source, ..., frame, feature], over all bands of a block.

    As `layers.norm.BatchNorm`, which has no blocks. `shape` is [block, source, feature].
    """

    shape: tuple[int, int, int]
    axis_name: str | None = None
    momentum: float = 0.9
    epsilon: float = 1e-5

    def setup(self):
        self.scale = self.param("scale", nn.initializers.ones, self.shape)
        self.bias = self.param("bias", nn.initializers.zeros, self.shape)
        self.mean = self.variable("batch_stats", "mean", jnp.zeros, self.shape)
        self.var = self.variable("batch_stats", "var", jnp.ones, self.shape)

    def folded(self) -> tuple[Array, Array]:
        """What to multiply by and then to add, with the running statistics; of this shape."""
        gain = self.scale * lax.rsqrt(self.var.value + self.epsilon)
        return gain, self.bias - self.mean.value * gain

    def batch(self, y: Array, valid: Array, blocks: np.ndarray) -> tuple[Array, Moments]:
        """Normalise by the statistics of this batch, in frames that are `valid` -> those as well.

        `blocks` are the number of each band's block: all bands of some blocks that follow each
        other.
        """
        numbers, inverse, count = np.unique(blocks, return_inverse=True, return_counts=True)
        share = (numbers[:, None] == blocks).astype(np.float32)
        own = slice(numbers[0], numbers[-1] + 1)
        middle = tuple(range(2, y.ndim - 1))
        rows = np.prod([y.shape[axis] for axis in middle[:-1]]) * valid.sum()
        rows = jnp.maximum(rows * count, 1)[:, None, None]

        def mean(values):  # [band, source, ..., frame, feature] -> [block, source, feature]
            sums = jnp.where(valid[:, None], values, 0).sum(middle)
            sums = jnp.einsum("gb,bsf->gsf", share, sums, precision=PRECISION)
            return self._everywhere(sums / rows)

        def of_bands(values):  # [block, source, feature] -> [band, source, ..., 1, feature]
            return jnp.expand_dims(values[inverse], middle)

        centre = mean(y)
        y = y - of_bands(centre)
        var = mean(jnp.square(y))
        gain = self.scale[own] * lax.rsqrt(var + self.epsilon)
        y = y * of_bands(gain) + of_bands(self.bias[own])
        if self.axis_name is not None and not self.is_initializing():
            rows = rows * lax.axis_size(self.axis_name)
        return y, (centre, var * (rows / jnp.maximum(rows - 1, 1)))

    def follow(self, moments: Sequence[Moments]) -> None:
        """Move the running statistics towards those of all blocks, in their order."""
        if self.is_initializing():
            return
        for running, parts in zip((self.mean, self.var), zip(*moments, strict=True), strict=True):
            now = jnp.concatenate(parts)
            running.value = self.momentum * running.value + (1 - self.momentum) * now

    def _everywhere(self, mean: Array) -> Array:
        if self.axis_name is None or self.is_initializing():
            return mean
        return lax.pmean(mean, self.axis_name)
