"""Convolutions along one axis of [batch, row, column, channel], in the order a CPU reads best.

Waveforms are [batch, 1, time, channel] and spectra [batch, frame, bin, channel]: channels last, so
that every product is one of whole rows, and the length on the third axis, where a convolution is
twice as fast as on the second. Kernels are [tap, in, out], or [row, column, in, out] for two axes.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array, lax

from xumx_jax.layers.dense import PRECISION

Pads = tuple[int, int]
LAYOUT = ("NHWC", "HWIO", "NHWC")


class Conv(nn.Module):
    """`convolve` with weights of its own; `taps` is a number, or two for rows and columns."""

    features: int
    taps: int | tuple[int, int]
    stride: int = 1
    padding: int | Pads = 0
    dilation: int = 1
    axis: int = -2
    bias: bool = True

    @nn.compact
    def __call__(self, x: Array) -> Array:
        taps = (self.taps,) if isinstance(self.taps, int) else self.taps
        kernel, bias = weights(self, taps, x.shape[-1], self.features, self.bias)
        return convolve(x, kernel, bias, self.stride, self.padding, self.dilation, self.axis)


class TransposedConv(nn.Module):
    """`transposed` with weights of its own."""

    features: int
    taps: int
    stride: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        kernel, bias = weights(self, (self.taps,), x.shape[-1], self.features, True)
        return transposed(x, kernel, bias, self.stride)


def weights(module: nn.Module, taps: Sequence[int], inputs: int, features: int, bias: bool):
    """Kernel [*tap, in, out] and bias [out] or None: uniform, as PyTorch begins."""
    limit = (inputs * float(np.prod(taps))) ** -0.5

    def uniform(key, shape):
        return nn.initializers.uniform(2 * limit)(key, shape) - limit

    kernel = module.param("kernel", uniform, (*taps, inputs, features))
    return kernel, module.param("bias", uniform, (features,)) if bias else None


def convolve(
    x: Array,
    kernel: Array,
    bias: Array | None = None,
    stride: int = 1,
    padding: int | Pads = 0,
    dilation: int = 1,
    axis: int = -2,
) -> Array:
    """Convolve [batch, row, column, channel] with [tap, in, out] along `axis`, -3 or -2.

    With a kernel [row, column, in, out], along both, each padded by `padding`. Correlation, as
    neural networks have it: no tap is reversed.
    """
    pads = (padding, padding) if isinstance(padding, int) else padding
    if kernel.ndim == 4:
        strides, dilations, padded = (stride, stride), (dilation, dilation), (pads, pads)
    elif axis == -2:
        kernel = kernel[None]
        strides, dilations, padded = (1, stride), (1, dilation), ((0, 0), pads)
    else:
        kernel = kernel[:, None]
        strides, dilations, padded = (stride, 1), (dilation, 1), (pads, (0, 0))
    y = lax.conv_general_dilated(
        x, kernel, strides, padded, rhs_dilation=dilations, dimension_numbers=LAYOUT,
        precision=PRECISION,
    )  # fmt: skip
    return y if bias is None else y + bias


def transposed(x: Array, kernel: Array, bias: Array | None, stride: int) -> Array:
    """Transpose-convolve [..., column, in] -> [..., (column - 1) * stride + tap, out].

    Each input sample adds `kernel` [tap, in, out], scaled, to the output at `stride` times its
    place: one product for all taps, and a sum of pieces that are shifted by whole strides.
    """
    taps, inputs, outputs = kernel.shape
    columns, pieces = x.shape[-2], -(-taps // stride)
    kernel = jnp.pad(kernel, [(0, pieces * stride - taps), (0, 0), (0, 0)])
    flat = kernel.transpose(1, 0, 2).reshape(inputs, -1)
    z = jnp.matmul(x.reshape(-1, inputs), flat, precision=PRECISION)
    z = z.reshape(*x.shape[:-1], pieces, stride * outputs)
    total = 0
    for piece in range(pieces):
        edges = [(0, 0)] * (x.ndim - 2) + [(piece, pieces - 1 - piece), (0, 0)]
        total = total + jnp.pad(z[..., piece, :], edges)
    y = total.reshape(*x.shape[:-2], -1, outputs)[..., : (columns - 1) * stride + taps, :]
    return y if bias is None else y + bias
