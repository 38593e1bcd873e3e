"""Convolutional autoencoders for many bands at once, as xumx-sliCQ has one for each block of bands.

Each block and target has weights of its own, but only few shapes of kernels occur. Blocks with one
shape are a group, whose weights are stacked and which is one loop: compiled once, not once a block.
Where kernels cover a single band, the bands of a block lie one behind the other in time, since they
do not see each other; positions say where each begins, and what a convolution mixes across borders
is set to zero.

The kernels of all layers are dilated by 2 in time, which is to say that even and odd frames do not
see each other either: they are items of the batch, and kernels are dense.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array, lax

EPSILON = 1e-5
DILATION = 2
HIDDEN = (25, 55)


@dataclass(frozen=True)
class Group:
    """Blocks whose kernels have one shape.

    blocks  their numbers in the transform
    bands   of each block
    halves  half the coefficients of a slice, of each block: the frames from one slice to the next
    kernel  (bands, frames) that a kernel covers, before dilation
    """

    blocks: tuple[int, ...]
    bands: tuple[int, ...]
    halves: tuple[int, ...]
    kernel: tuple[int, int]


class Normalization(nn.Module):
    """The weights and statistics of batch normalisation, [block, target, channel]."""

    shape: tuple[int, ...]

    @nn.compact
    def __call__(self) -> tuple[Array, Array, Array, Array]:
        scale = self.param("scale", nn.initializers.ones, self.shape)
        bias = self.param("bias", nn.initializers.zeros, self.shape)
        mean = self.variable("batch_stats", "mean", jnp.zeros, self.shape)
        var = self.variable("batch_stats", "var", jnp.ones, self.shape)
        return scale, bias, mean.value, var.value
