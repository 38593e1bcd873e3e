"""The layers of Demucs' U-Nets, of waveforms and of spectra: an encoder's and a decoder's.

An input is [batch, 1, time, channel] or, with `spectral`, [batch, frame, bin, channel]: the strided
convolutions go along the third axis, and time is the third or the second.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jax import nn as jnn

from xumx_jax.layers.activations import gelu, glu
from xumx_jax.layers.convolution import Conv, TransposedConv
from xumx_jax.layers.dconv import DConv
from xumx_jax.layers.group_norm import GroupNorm
from xumx_jax.layers.local_attention import HEADS


@dataclass(frozen=True)
class LayerOptions:
    """What a layer of the encoder and the one of the decoder opposite it have in common.

    taps, stride  of the strided convolution
    spectral      along the bins of spectra, else along time
    groups        of group normalisation; 0: none
    rewrite       a convolution of all channels, and a gate, behind the strided one
    gated         with a gated linear unit, else a rectifier
    gelu          else rectifiers
    compress, depth, initial, lstm, attention  of `DConv`
    rescale       of `Conv`
    """

    taps: int
    stride: int
    spectral: bool = False
    groups: int = 0
    rewrite: bool = True
    gated: bool = True
    gelu: bool = True
    compress: float = 4
    depth: int = 2
    initial: float = 1e-4
    lstm: bool = False
    attention: bool = False
    rescale: float | None = None

    def dconv(self, name: str) -> DConv:
        axis = -3 if self.spectral else -2
        return DConv(
            self.compress, self.depth, self.initial, axis, self.lstm, self.attention, self.rescale,
            name=name,
        )  # fmt: skip

    def norm(self, x: Array, name: str, then: Callable | None = None) -> Array:
        """Normalise, if the layer does, and then apply `then`."""
        if self.groups:
            return GroupNorm(self.groups, then=then, name=name)(x)
        return x if then is None else then(x)

    def activate(self, x: Array) -> Array:
        return gelu(x) if self.gelu else jnn.relu(x)

    def gate(self, x: Array) -> Array:
        return glu(x) if self.gated else jnn.relu(x)

    def context_conv(self, features: int, context: int, wide: bool = True, *, name: str) -> Conv:
        """See `context` neighbours on each side, along all axes, or (not `wide`) time alone."""
        taps: int | tuple[int, int] = 2 * context + 1
        if self.spectral and wide and context:
            taps = (taps, taps)
        axis = -3 if self.spectral else -2
        return Conv(features, taps, padding=context, axis=axis, rescale=self.rescale, name=name)

    def widened(self, channels: int) -> int:
        """The channels that `gate` takes to give so many."""
        return 2 * channels if self.gated else channels

    def check(self, features: int, back: int, branch: bool) -> None:
        """Raise ValueError if no layer has so many channels behind its encoder and decoder.

        `branch` says whether either has a `DConv`.
        """
        if self.groups and (features % self.groups or back % self.groups):
            raise ValueError(
                f"norm_groups {self.groups}: wanted a divisor of the {features} and {back} "
                "channels of a layer from norm_starts on"
            )
        hidden = int(features / self.compress)
        if branch and self.depth and hidden < 1:
            raise ValueError(f"dconv_comp {self.compress}: wanted at most {features}, the channels")
        if branch and self.depth and self.attention and hidden % HEADS:
            raise ValueError(
                f"dconv_attn: a branch of {hidden} channels; wanted a multiple of {HEADS}"
            )


def options_of(model, number: int, gated: bool = True, gelu: bool = True) -> LayerOptions:
    """Those of layer `number`, from the outermost on, of a model with the fields of `Demucs`."""
    return LayerOptions(
        model.kernel_size,
        model.stride,
        groups=model.norm_groups if number >= model.norm_starts else 0,
        rewrite=model.rewrite,
        gated=gated,
        gelu=gelu,
        compress=model.dconv_comp,
        depth=model.dconv_depth,
        initial=model.dconv_init,
        lstm=number >= model.dconv_lstm,
        attention=number >= model.dconv_attn,
        rescale=model.rescale,
    )


def valid_length(model, samples: int) -> int:
    """The least length, from `samples` on, that fills the windows of all layers of waveforms.

    Of a model with `depth`, `kernel_size`, `stride` and `resample`.
    """
    factor = 2 if model.resample else 1
    length = factor * samples
    for _ in range(model.depth):
        length = max(1, -(-(length - model.kernel_size) // model.stride) + 1)
    for _ in range(model.depth):
        length = (length - 1) * model.stride + model.kernel_size
    return -(-length // factor)


class Encoder(nn.Module):
    """[..., column, channel] -> [..., column / stride, features].

    padding  columns of zeros on both sides
    context  neighbours on each side that the rewriting convolution sees
    branch   whether it has a `DConv`
    empty    the strided convolution alone
    inject   is added behind the strided convolution
    """

    features: int
    options: LayerOptions
    padding: int = 0
    context: int = 0
    branch: bool = True
    empty: bool = False

    @nn.compact
    def __call__(self, x: Array, inject: Array | None = None) -> Array:
        options = self.options
        y = Conv(
            self.features, options.taps, options.stride, self.padding, rescale=options.rescale,
            name="conv",
        )(x)  # fmt: skip
        if self.empty:
            return y
        if inject is not None:
            y = y + inject
        y = options.norm(y, "norm_0", options.activate)
        if self.branch:
            y = options.dconv("dconv")(y)
        if not options.rewrite:
            return y
        wide = options.widened(self.features)
        y = options.context_conv(wide, self.context, name="rewrite")(y)
        return options.norm(y, "norm_1", options.gate)


class Decoder(nn.Module):
    """[..., column, channel] and a skip -> ([..., column * stride, features], what came before).

    One of both inputs may be None. The second result is the input of the transposed convolution,
    the first is neither cropped nor activated.

    context   as in `Encoder`
    wide      the context goes along both axes of spectra, else along time alone
    norm_out  whether the output is normalised (where the layer has groups at all)
    """

    features: int
    options: LayerOptions
    context: int = 1
    wide: bool = True
    branch: bool = False
    empty: bool = False
    norm_out: bool = True

    @nn.compact
    def __call__(self, x: Array | None, skip: Array | None) -> tuple[Array, Array]:
        options = self.options
        x = total(x, skip)
        channels = x.shape[-1]
        if not self.empty:
            if options.rewrite:
                wide = options.widened(channels)
                y = options.context_conv(wide, self.context, self.wide, name="rewrite")(x)
                x = options.norm(y, "norm_0", options.gate)
            if self.branch:
                x = options.dconv("dconv")(x)
        y = TransposedConv(
            self.features, options.taps, options.stride, options.rescale, name="conv"
        )(x)
        return options.norm(y, "norm_1") if self.norm_out else y, x


def total(x: Array | None, y: Array | None) -> Array:
    """The sum of two arrays, of which one may be missing."""
    if x is not None and y is not None:
        return x + y
    found = y if x is None else x
    assert found is not None
    return found


def cropped(x: Array, begin: int, length: int) -> Array:
    """So many columns of [..., column, channel]."""
    return x[..., begin : begin + length, :]


def padded(x: Array, multiple: int) -> Array:
    """Zeros behind the columns of [..., column, channel], up to a multiple."""
    missing = -x.shape[-2] % multiple
    return jnp.pad(x, [(0, 0)] * (x.ndim - 2) + [(0, missing), (0, 0)]) if missing else x
