"""Blocks of convolutions over time and frequency and of dense layers along frequency ("TFC-TDF").

Choi et al. 2020, "Investigating U-Nets with various intermediate blocks for spectrogram-based
singing voice separation"; here as in the third version of kuielab. Spectra are [batch, frame, bin,
channel].
"""

import math
from dataclasses import dataclass

from flax import linen as nn
from jax import Array
from jax import nn as jnn

from xumx_jax.layers.cells import down, up
from xumx_jax.layers.convolution import Conv
from xumx_jax.layers.dense import along
from xumx_jax.layers.group_norm import GroupNorm
from xumx_jax.layers.initializers import symmetric
from xumx_jax.layers.norm import BatchNorm

NORMS = ("instance", "batch", "none")
ACTS = ("gelu", "relu", "elu")
TAPS = 3


def check_norm(norm: str) -> None:
    """Raise ValueError unless it is one of NORMS or a number of groups."""
    if norm not in NORMS and not (norm.isdecimal() and int(norm)):
        raise ValueError(f"norm {norm!r}: wanted one of {', '.join(NORMS)}, or a number of groups")


@dataclass(frozen=True)
class Options:
    """What all layers have in common: see `models.mdx23c.Mdx23c`."""

    norm: str
    act: str
    alpha: float
    axis_name: str | None

    def activate(self, x: Array) -> Array:
        if self.act == "gelu":
            return jnn.gelu(x, approximate=False)
        return jnn.relu(x) if self.act == "relu" else jnn.elu(x, self.alpha)

    def normalised(self, x: Array, train: bool, name: str) -> Array:
        """Normalise over frames and bins, and activate."""
        if self.norm == "batch":
            return self.activate(BatchNorm(self.axis_name, name=name)(x, train))
        if self.norm == "none":
            return self.activate(x)
        groups = x.shape[-1] if self.norm == "instance" else int(self.norm)
        return GroupNorm(groups, then=self.activate, name=name)(x)


class Block(nn.Module):
    """Two convolutions with a narrow pair of dense layers along frequency between them."""

    features: int
    bottleneck: int
    options: Options

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        def conv(x, name):
            y = self.options.normalised(x, train, f"{name}_norm")
            return Conv(self.features, (TAPS, TAPS), padding=1, bias=False, name=name)(y)

        skip = Conv(self.features, 1, bias=False, name="shortcut")(x)
        x = conv(x, "conv_0")
        x = x + self._along_bins(x, train)
        return conv(x, "conv_1") + skip

    def _along_bins(self, x: Array, train: bool) -> Array:
        bins = x.shape[-2]
        inner = bins // self.bottleneck
        for number, (inputs, outputs) in enumerate(((bins, inner), (inner, bins))):
            x = self.options.normalised(x, train, f"dense_{number}_norm")
            limit = symmetric(inputs**-0.5)
            kernel = self.param(f"dense_{number}", limit, (inputs, outputs))
            x = along(x, kernel)
        return x


class Down(nn.Module):
    """Divide frames and bins by a stride: every cell of so many becomes one, of more channels."""

    features: int
    stride: tuple[int, int]
    options: Options

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        x = self.options.normalised(x, train, "norm")
        inputs = math.prod(self.stride) * x.shape[-1]
        kernel = self.param("kernel", symmetric(inputs**-0.5), (inputs, self.features))
        return down(x, kernel, self.stride)


class Up(nn.Module):
    """The opposite: every cell becomes so many, of fewer channels."""

    features: int
    stride: tuple[int, int]
    options: Options

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        x = self.options.normalised(x, train, "norm")
        channels, outputs = x.shape[-1], math.prod(self.stride) * self.features
        kernel = self.param("kernel", symmetric(channels**-0.5), (channels, outputs))
        return up(x, kernel, self.stride)
