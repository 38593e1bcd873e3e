"""Convolutions along one axis of [batch, row, column, channel], in the order a CPU reads best.

Waveforms are [batch, 1, time, channel] and spectra [batch, frame, bin, channel]: channels last, so
that every product is one of whole rows, and the length on the third axis, where a convolution is
twice as fast as on the second. Kernels are [tap, in, out], or [row, column, in, out] for two axes.
"""

import math

import jax.numpy as jnp
from flax import linen as nn
from jax import Array, lax

Pads = tuple[int, int]
LAYOUT = ("NHWC", "HWIO", "NHWC")


class Conv(nn.Module):
    """`convolve` with weights of its own.

    taps     a number, or two for rows and columns
    rescale  the deviation that initial weights are drawn towards: theirs becomes the geometric
             mean of it and PyTorch's (Défossez et al. 2019, "Music Source Separation in the
             Waveform Domain"); None: PyTorch's
    """

    features: int
    taps: int | tuple[int, int]
    stride: int = 1
    padding: int | Pads = 0
    dilation: int = 1
    axis: int = -2
    bias: bool = True
    rescale: float | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        taps = (self.taps,) if isinstance(self.taps, int) else self.taps
        shape = (*taps, x.shape[-1], self.features)
        limit = uniform_limit(math.prod(shape[:-1]), self.rescale)
        kernel = self.param("kernel", symmetric(limit), shape)
        bias = self.param("bias", symmetric(limit), shape[-1:]) if self.bias else None
        return convolve(x, kernel, bias, self.stride, self.padding, self.dilation, self.axis)


class TransposedConv(nn.Module):
    """`transposed` with weights of its own; `rescale` as in `Conv`."""

    features: int
    taps: int
    stride: int
    rescale: float | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        shape = (self.taps, x.shape[-1], self.features)
        limit = uniform_limit(self.taps * self.features, self.rescale)
        kernel = self.param("kernel", symmetric(limit), shape)
        return transposed(x, kernel, self.param("bias", symmetric(limit), shape[-1:]), self.stride)


def uniform_limit(inputs: int, rescale: float | None) -> float:
    """Where uniform initial weights end: 1 / sqrt(inputs), as in PyTorch, then rescaled."""
    limit = inputs**-0.5
    return limit if rescale is None else limit / (limit / 3**0.5 / rescale) ** 0.5


def symmetric(limit: float):
    """An initializer, uniform between -limit and limit."""
    uniform = nn.initializers.uniform(2 * limit)
    return lambda key, shape: uniform(key, shape) - limit


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
    neural networks have it: no tap is reversed. The precision of products is JAX's default, which
    engines and training set.
    """
    pads = (padding, padding) if isinstance(padding, int) else padding
    if x.shape[-2] == 1 and kernel.ndim == 4 and stride == 1 and 2 * pads[0] + 1 == len(kernel[0]):
        kernel, axis = kernel[:, pads[0]], -3  # of the other columns' taps, all meet zeros
    if x.shape[-2] == 1 and kernel.ndim == 3 and axis == -3:
        turned = x.swapaxes(-3, -2)
        return convolve(turned, kernel, bias, stride, pads, dilation).swapaxes(-3, -2)
    if kernel.ndim == 4:
        strides, dilations, padded = (stride, stride), (dilation, dilation), (pads, pads)
    elif axis == -2:
        kernel = kernel[None]
        strides, dilations, padded = (1, stride), (1, dilation), ((0, 0), pads)
    else:
        kernel = kernel[:, None]
        strides, dilations, padded = (stride, 1), (dilation, 1), (pads, (0, 0))
    y = lax.conv_general_dilated(
        x, kernel, strides, padded, rhs_dilation=dilations, dimension_numbers=LAYOUT
    )
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
    z = x.reshape(-1, inputs) @ flat
    z = z.reshape(*x.shape[:-1], pieces, stride * outputs)
    total = 0
    for piece in range(pieces):
        edges = [(0, 0)] * (x.ndim - 2) + [(piece, pieces - 1 - piece), (0, 0)]
        total = total + jnp.pad(z[..., piece, :], edges)
    y = total.reshape(*x.shape[:-2], -1, outputs)[..., : (columns - 1) * stride + taps, :]
    return y if bias is None else y + bias
