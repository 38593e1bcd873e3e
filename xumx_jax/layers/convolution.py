"""Convolutions along one axis of [batch, row, column, channel], in the order a CPU reads best.

Waveforms are [batch, 1, time, channel] and spectra [batch, frame, bin, channel]: channels last, so
that every product is one of whole rows, and the length on the third axis, where a convolution is
twice as fast as on the second. Kernels are [tap, in, out], or [row, column, in, out] for two axes.
"""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array, lax

from xumx_jax.layers import winograd
from xumx_jax.layers.dense import asked, operand, product
from xumx_jax.layers.initializers import symmetric
from xumx_jax.layers.kernel_gradient import kernel_gradient, product_over_rows

Pads = tuple[int, int]


class Step(NamedTuple):
    """How a kernel goes along an axis."""

    stride: int = 1
    padding: Pads = (0, 0)
    dilation: int = 1


LAYOUT = ("NHWC", "HWIO", "NHWC")
LANES = 16  # numbers of 32 bits that AVX-512 takes at once


class Conv(nn.Module):
    """`convolve` with weights of its own.

    taps     a number, or two for rows and columns
    rescale  the deviation that initial weights are drawn towards: theirs becomes the geometric
             mean of it and PyTorch's (Défossez et al. 2019, "Music Source Separation in the
             Waveform Domain"); None: PyTorch's
    copies   how often the channels of the input follow each other; given once, their kernels are
             added, which is a fraction of the work
    """

    features: int
    taps: int | tuple[int, int]
    stride: int = 1
    padding: int | Pads = 0
    dilation: int = 1
    axis: int = -2
    bias: bool = True
    rescale: float | None = None
    copies: int = 1

    @nn.compact
    def __call__(self, x: Array) -> Array:
        taps = (self.taps,) if isinstance(self.taps, int) else self.taps
        shape = (*taps, self.copies * x.shape[-1], self.features)
        limit = uniform_limit(math.prod(shape[:-1]), self.rescale)
        kernel = self.param("kernel", symmetric(limit), shape)
        if self.copies > 1:
            kernel = kernel.reshape(*taps, self.copies, *x.shape[-1:], self.features).sum(-3)
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
    middle, odd = divmod(kernel.shape[1], 2)
    if kernel.ndim == 4 and odd and x.shape[-2] == stride == 1 and pads == (middle, middle):
        kernel, axis = kernel[:, middle], -3  # of the other columns' taps, all meet zeros
    if x.shape[-2] == 1 and kernel.ndim == 3 and axis == -3:
        turned = x.swapaxes(-3, -2)
        return convolve(turned, kernel, bias, stride, pads, dilation).swapaxes(-3, -2)
    if axis == -2 and kernel.ndim == 3 and x.shape[-2] == len(kernel) and not any(pads):
        # a single column is left: a plain product, five times as fast
        y = rows_by(x.reshape(-1, kernel[..., 0].size), kernel.reshape(-1, kernel.shape[-1]))
        y = y.reshape(*x.shape[:-2], 1, -1)
        return y if bias is None else y + bias
    along, across = Step(stride, pads, dilation), Step()
    if kernel.ndim == 4:
        plan = along, along
    elif axis == -2:
        kernel, plan = kernel[None], (across, along)
    else:
        kernel, plan = kernel[:, None], (along, across)
    # Under shard_map, a zero made from x marks shared weights as this device's own; see
    # `layers.dense`.
    kernel = kernel + jnp.zeros_like(x[:1, :1, :1, :1])
    if kernel.shape[:2] == (1, 1) and stride == 1 and not any(pads):
        y = rows_by(x.reshape(-1, x.shape[-1]), kernel[0, 0]).reshape(*x.shape[:-1], -1)
    else:
        y = correlate(plan, asked(), x, kernel)
    return y if bias is None else y + bias


def rounded(dtype: str, *arrays: Array) -> tuple[Array, ...]:
    """Operands in the type that `dtype`, one of `layers.dense.DTYPES`, asks for."""
    return arrays if dtype == "float32" else tuple(x.astype(operand(dtype)) for x in arrays)


def rows_by(x: Array, kernel: Array, dtype: str = "float32") -> Array:
    """Multiply [row, in] by [in, out], with operands as `layers.dense.autocast` says."""
    return x @ kernel if asked(dtype) == "float32" else product(x, kernel, dtype)


def _raw(plan: tuple[Step, Step], dtype: str, x: Array, kernel: Array) -> Array:
    """Convolve [batch, row, column, in] with [row, column, in, out]; `plan` is of rows, columns.

    Operands are rounded to `dtype`, one of `layers.dense.DTYPES`; sums are float32.
    """
    pads = plan[0].padding, plan[1].padding
    simple = plan == tuple(Step(padding=pad) for pad in pads) and min(map(min, pads)) >= 0
    if dtype == "float32" and simple and winograd.fits(x, kernel):
        fewer = partial(winograd.correlate, pads=pads)
        return lax.platform_dependent(x, kernel, cpu=fewer, default=partial(_plain, plan, dtype))
    return _plain(plan, dtype, x, kernel)


def _plain(plan: tuple[Step, Step], dtype: str, x: Array, kernel: Array) -> Array:
    x, kernel = rounded(dtype, x, kernel)
    inputs, outputs = kernel.shape[2:]
    if LANES < outputs < 2 * LANES and outputs % 8:
        # On a CPU, 25 outputs of 55 inputs take one and a half times as long as 32 of 56.
        odd = inputs % 2
        x = jnp.pad(x, [(0, 0)] * 3 + [(0, odd)])
        kernel = jnp.pad(kernel, [(0, 0), (0, 0), (0, odd), (0, 2 * LANES - outputs)])
    y = lax.conv_general_dilated(
        x,
        kernel,
        [step.stride for step in plan],
        [step.padding for step in plan],
        rhs_dilation=[step.dilation for step in plan],
        dimension_numbers=LAYOUT,
        preferred_element_type=None if dtype == "float32" else jnp.float32,
    )
    return y[..., :outputs]


# The same with gradients in two to three times the speed of XLA's own, on a CPU: that of the kernel
# as few large products, that of a strided convolution's input as a transposed one.
correlate = jax.custom_vjp(_raw, nondiff_argnums=(0, 1))


def _forward(plan, dtype, x, kernel):
    x, kernel = rounded(dtype, x, kernel)
    return _raw(plan, dtype, x, kernel), (x, kernel)


def _backward(plan, dtype, saved, dy):
    x, kernel = saved
    (dy,) = rounded(dtype, dy)
    (row_stride, *_), (stride, pads, dilation) = plan
    if row_stride > 1 or (stride > 1 and (dilation > 1 or len(kernel) > 1)):
        return _xla_gradients(plan, x, kernel, dy)
    if stride > 1:
        dx = transposed(dy, kernel[0].swapaxes(-1, -2), None, stride, dtype)
        missing = max(0, pads[0] + x.shape[-2] - dx.shape[-2])
        dx = jnp.pad(dx, [(0, 0), (0, 0), (0, missing), (0, 0)])
        return dx[..., pads[0] : pads[0] + x.shape[-2], :], _strided_gradient(plan, x, kernel, dy)
    taps = kernel.shape[:2]
    turned = _turned(taps[0], plan[0]), _turned(taps[1], plan[1])
    dx = _raw(turned, dtype, dy, kernel[::-1, ::-1].swapaxes(-1, -2))
    beyond = min(*turned[0].padding, *turned[1].padding) < 0  # padded by more than it reaches
    if x.shape[-1] <= dy.shape[-1] or beyond:
        return dx, kernel_gradient(plan, x, dy, taps)
    # of the two, that with fewer channels is the one to shift
    return dx, kernel_gradient(turned, dy, x, taps)[::-1, ::-1].swapaxes(-1, -2)


def _xla_gradients(plan, x: Array, kernel: Array, dy: Array) -> tuple[Array, ...]:
    """Gradients of both operands as XLA has them, in float32."""
    x, kernel, dy = (
        each.astype(jnp.promote_types(each.dtype, jnp.float32)) for each in (x, kernel, dy)
    )
    return jax.vjp(partial(_raw, plan, "float32"), x, kernel)[1](dy)


def _turned(taps: int, step: Step) -> Step:
    """What undoes a step of stride 1, with the taps reversed."""
    _, (left, right), dilation = step
    reach = (taps - 1) * dilation
    return Step(1, (reach - left, reach - right), dilation)


def _strided_gradient(plan, x: Array, kernel: Array, dy: Array) -> Array:
    """The gradient of a kernel [1, column, in, out], from the input in pieces of one stride."""
    _, (stride, pads, _) = plan
    taps, inputs, outputs = kernel.shape[1:]
    columns, pieces = dy.shape[-2], -(-taps // stride)
    length = (columns + pieces - 1) * stride
    x = jnp.pad(x, [(0, 0), (0, 0), pads, (0, 0)])[..., :length, :]
    x = jnp.pad(x, [(0, 0), (0, 0), (0, length - x.shape[-2]), (0, 0)])
    x = x.reshape(*x.shape[:2], -1, stride * inputs)
    parts = [product_over_rows(x[..., piece:, :][..., :columns, :], dy) for piece in range(pieces)]
    return jnp.stack(parts).reshape(-1, inputs, outputs)[:taps][None]


correlate.defvjp(_forward, _backward)


def transposed(
    x: Array, kernel: Array, bias: Array | None, stride: int, dtype: str = "float32"
) -> Array:
    """Transpose-convolve [..., column, in] -> [..., (column - 1) * stride + tap, out].

    Each input sample adds `kernel` [tap, in, out], scaled, to the output at `stride` times its
    place: one product for all taps, and a sum of pieces that are shifted by whole strides.
    """
    taps, inputs, outputs = kernel.shape
    columns, pieces = x.shape[-2], -(-taps // stride)
    kernel = jnp.pad(kernel, [(0, pieces * stride - taps), (0, 0), (0, 0)])
    flat = kernel.transpose(1, 0, 2).reshape(inputs, -1)
    z = rows_by(x.reshape(-1, inputs), flat, dtype)
    z = z.reshape(*x.shape[:-1], pieces, stride * outputs)
    shifted = []
    for piece in range(pieces):
        edges = [(0, 0)] * (x.ndim - 2) + [(piece, pieces - 1 - piece), (0, 0)]
        shifted.append(jnp.pad(z[..., piece, :], edges))
    y = sum(shifted[1:], shifted[0]).reshape(*x.shape[:-2], -1, outputs)[
        ..., : (columns - 1) * stride + taps, :
    ]
    return y if bias is None else y + bias
