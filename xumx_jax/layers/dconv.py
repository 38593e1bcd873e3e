"""Demucs' residual branch: dilated convolutions in few channels, with LSTM and attention."""

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from xumx_jax.layers.activations import gelu
from xumx_jax.layers.bidirectional import BidirectionalLstm
from xumx_jax.layers.convolution import Conv, uniform_limit
from xumx_jax.layers.gated_expansion import Weights, add_gated
from xumx_jax.layers.group_norm import GroupNorm
from xumx_jax.layers.initializers import symmetric
from xumx_jax.layers.local_attention import LocalAttention

TAPS = 3
LSTM_FRAMES = 200  # longer inputs of its LSTM are cut into pieces


class DConv(nn.Module):
    """Add to [batch, row, column, channel] what convolutions along `axis` make of it.

    compress   the branch has channels / compress channels inside
    depth      number of branches, one after the other; each dilates twice as much as the last one.
               Negative: so many, none dilated
    initial    factor at the start of what is added
    axis       that of time, -3 or -2; the other one holds independent rows
    lstm       with a bidirectional LSTM of two layers inside
    attention  with `LocalAttention` inside
    rescale    as in `Conv`

    Défossez 2021, "Hybrid Spectrogram and Waveform Source Separation", 3.1.
    """

    compress: float = 4
    depth: int = 2
    initial: float = 1e-4
    axis: int = -2
    lstm: bool = False
    attention: bool = False
    rescale: float | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        for number in range(abs(self.depth)):
            dilation = 2**number if self.depth > 0 else 1
            hidden = int(x.shape[-1] / self.compress)
            x = Branch(
                hidden,
                dilation,
                self.initial,
                self.axis,
                self.lstm,
                self.attention,
                self.rescale,
                name=f"branch_{number}",
            )(x)
        return x


class Branch(nn.Module):
    """Add one branch of `DConv`, with `hidden` channels inside."""

    hidden: int
    dilation: int
    initial: float
    axis: int
    lstm: bool
    attention: bool
    rescale: float | None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        channels, axis, dilation = x.shape[-1], self.axis, self.dilation
        pad = dilation * (TAPS // 2)
        squeeze = Conv(
            self.hidden, TAPS, 1, pad, dilation, axis, rescale=self.rescale, name="squeeze"
        )
        y = GroupNorm(1, (axis,), gelu, name="norm_0")(squeeze(x))
        if self.lstm:
            y = along(BidirectionalLstm(2, LSTM_FRAMES, skip=True, name="lstm"), y, axis)
        if self.attention:
            y = along(LocalAttention(name="attention"), y, axis)
        expand = Expansion(y.shape[-1], 2 * channels, self.rescale, name="expand")()
        norm = Affine(2 * channels, name="norm_1")()
        factor = self.param("scale", nn.initializers.constant(self.initial), (channels,))
        return add_gated(x, y, Weights(*expand, *norm, factor), axis)


class Expansion(nn.Module):
    """The kernel [in, out] and bias of a `Conv` of one tap."""

    inputs: int
    outputs: int
    rescale: float | None

    @nn.compact
    def __call__(self) -> tuple[Array, Array]:
        init = symmetric(uniform_limit(self.inputs, self.rescale))
        kernel = self.param("kernel", init, (1, self.inputs, self.outputs))
        return kernel[0], self.param("bias", init, (self.outputs,))


class Affine(nn.Module):
    """Scale and bias of a `GroupNorm`."""

    channels: int

    @nn.compact
    def __call__(self) -> tuple[Array, Array]:
        shape = (self.channels,)
        scale = self.param("scale", nn.initializers.ones, shape)
        return scale, self.param("bias", nn.initializers.zeros, shape)


def along(layer, x: Array, axis: int) -> Array:
    """Apply a layer of [item, frame, channel] along one axis of [batch, row, column, channel]."""
    items = jnp.moveaxis(x, axis, -2)
    y = layer(items.reshape(-1, *items.shape[-2:]))
    return jnp.moveaxis(y.reshape(items.shape), -2, axis)
