"""Demucs' residual branch: dilated convolutions in few channels, with LSTM and attention."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jax import nn as jnn

from xumx_jax.layers.bidirectional import BidirectionalLstm
from xumx_jax.layers.convolution import Conv
from xumx_jax.layers.group_norm import GroupNorm
from xumx_jax.layers.local_attention import LocalAttention

TAPS = 3
LSTM_FRAMES = 200  # longer inputs of its LSTM are cut into pieces


@jax.custom_vjp
def glu(x: Array) -> Array:
    """Half of the channels, gated by the other half: [..., 2 * channel] -> [..., channel]."""
    return _glu_forward(x)[0]


def _glu_forward(x: Array):
    half = x.shape[-1] // 2
    return x[..., :half] * jnn.sigmoid(x[..., half:]), x


def _glu_backward(x: Array, dy: Array):
    # Both halves in one array, where XLA would pad each and add them.
    half = x.shape[-1] // 2
    gate = jnn.sigmoid(x[..., half:])
    return (jnp.concatenate([dy * gate, dy * x[..., :half] * gate * (1 - gate)], axis=-1),)


glu.defvjp(_glu_forward, _glu_backward)


@jax.checkpoint  # its gradient keeps x alone: to compute is cheaper than to read
def gelu(x: Array) -> Array:
    """Gaussian error linear unit, by the error function itself (Hendrycks and Gimpel 2016)."""
    return jnn.gelu(x, approximate=False)


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
            x = x + Branch(
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
    """One branch of `DConv`, with `hidden` channels inside."""

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
        y = Conv(2 * channels, 1, rescale=self.rescale, name="expand")(y)
        scale = self.param("scale", nn.initializers.constant(self.initial), (channels,))
        return GroupNorm(1, (axis,), lambda y: glu(y) * scale, name="norm_1")(y)


def along(layer, x: Array, axis: int) -> Array:
    """Apply a layer of [item, frame, channel] along one axis of [batch, row, column, channel]."""
    items = jnp.moveaxis(x, axis, -2)
    y = layer(items.reshape(-1, *items.shape[-2:]))
    return jnp.moveaxis(y.reshape(items.shape), -2, axis)
