"""Two sequences that attend to themselves and to each other, in turns: Hybrid Transformer Demucs.

Rouard et al. 2023, "Hybrid Transformers for Music Source Separation". Sequences are [batch,
position, channel]; that of spectra has the bins of a frame one after another.
"""

from dataclasses import dataclass

import numpy as np
from flax import linen as nn
from jax import Array
from jax import nn as jnn

from xumx_jax.layers.activations import gelu
from xumx_jax.layers.attention import attended
from xumx_jax.layers.axial_transformer import dense
from xumx_jax.layers.group_norm import GroupNorm
from xumx_jax.layers.initializers import symmetric

POSITIONS = ("sin", "cape", "scaled")
SCALED = 3.0  # by which learned positions are multiplied, so that they learn as much faster
EPSILON = 1e-5


@dataclass(frozen=True)
class CrossOptions:
    """What the layers have in common.

    heads         of the attention
    widening      of feed-forward layers
    norm_first    normalisation before each part, else behind the sum
    norm_out      and of the output of a layer, over all positions and channels at once
    norm_groups   of channels that are normalised over all positions, instead of each position; 0
    layer_scale   factors of what is added
    gelu          else rectifiers
    """

    heads: int = 8
    widening: float = 4.0
    norm_first: bool = True
    norm_out: bool = True
    norm_groups: int = 0
    layer_scale: bool = True
    gelu: bool = True

    def norm(self, x: Array, name: str) -> Array:
        return normalised(x, self.norm_groups, name)


def normalised(x: Array, groups: int, name: str) -> Array:
    """Group normalisation over the positions, or (0 groups) layer normalisation of each."""
    if groups:
        return GroupNorm(groups, (-2,), name=name)(x[:, None])[:, 0]
    return nn.LayerNorm(epsilon=EPSILON, name=name)(rows(x)).reshape(x.shape)


def rows(x: Array) -> Array:
    """[batch, position, channel] -> [row, channel].

    What all positions share is applied to rows: in a batch of one, sums over positions, which its
    gradient takes, take XLA on a CPU 40 times as long.
    """
    return x.reshape(-1, x.shape[-1])


class CrossLayer(nn.Module):
    """[batch, position, channel], and another sequence if `cross`: what attention adds to it."""

    options: CrossOptions
    cross: bool

    @nn.compact
    def __call__(self, x: Array, other: Array | None = None) -> Array:
        options, channels = self.options, x.shape[-1]
        first = options.norm_first
        if first:
            asks = options.norm(x, "norm_0")
            heard = asks if other is None else options.norm(other, "norm_other")
        else:
            asks, heard = x, x if other is None else other
        x = x + self._scaled(self._attention(asks, heard), "scale_0")
        if not first:
            x = options.norm(x, "norm_0")
        y = options.norm(x, "norm_1") if first else x
        y = self._dense(y, "wide", int(channels * options.widening))
        y = gelu(y) if options.gelu else jnn.relu(y)
        x = x + self._scaled(self._dense(y, "narrow", channels), "scale_1")
        if not first:
            x = options.norm(x, "norm_1")
        return normalised(x, 1, "norm_out") if first and options.norm_out else x

    def _attention(self, asks: Array, heard: Array) -> Array:
        channels, heads = asks.shape[-1], self.options.heads
        limit = (6 / (4 * channels)) ** 0.5  # Glorot's, of the three parts together
        kernel = self.param("qkv", symmetric(limit), (channels, 3 * channels))
        bias = self.param("qkv_bias", nn.initializers.zeros, (3 * channels,))

        def part(x, start, count):
            columns = slice(start * channels, (start + count) * channels)
            y = dense(rows(x), kernel[:, columns], "float32") + bias[columns]
            return y.reshape(*x.shape[:-1], count, heads, -1)

        if asks is heard:
            parts = part(asks, 0, 3)
            queries, keys, values = (parts[:, :, number] for number in range(3))
        else:
            queries, parts = part(asks, 0, 1)[:, :, 0], part(heard, 1, 2)
            keys, values = parts[:, :, 0], parts[:, :, 1]
        found = attended(queries, keys, values)
        return self._dense(found.reshape(asks.shape), "out", channels)

    def _dense(self, x: Array, name: str, features: int) -> Array:
        limit = x.shape[-1] ** -0.5
        kernel = self.param(name, symmetric(limit), (x.shape[-1], features))
        bias = self.param(f"{name}_bias", symmetric(limit), (features,))
        return (dense(rows(x), kernel, "float32") + bias).reshape(*x.shape[:-1], features)

    def _scaled(self, x: Array, name: str) -> Array:
        if not self.options.layer_scale:
            return x
        scale = self.param(name, nn.initializers.constant(1e-4), x.shape[-1:])
        return (rows(x) * scale).reshape(x.shape)


class CrossTransformer(nn.Module):
    """Layers for spectra [batch, frame, bin, channel] and waveforms [batch, time, channel].

    layers       self-attention in the first, third, ..., else (`cross_first`) in the others
    position     of POSITIONS, of waveforms: sines, sines around the middle ("cape"), or learned
    weight       of positions
    period       the longest one of sines, over 2 pi
    learned      number of learned positions
    norm_in      normalisation of the inputs, in `norm_in_groups` groups over all positions, if any
    """

    layers: int = 5
    options: CrossOptions = CrossOptions()
    cross_first: bool = False
    position: str = "sin"
    weight: float = 1.0
    period: float = 10_000.0
    learned: int = 10_000
    norm_in: bool = True
    norm_in_groups: int = 0

    @nn.compact
    def __call__(self, x: Array, t: Array) -> tuple[Array, Array]:
        shape, (length, channels) = x.shape, t.shape[-2:]
        _, frames, bins, _ = shape
        x = x.reshape(len(x), -1, channels)
        if self.norm_in or self.norm_in_groups:
            x = normalised(x, self.norm_in_groups, "norm_in")
            t = normalised(t, self.norm_in_groups, "norm_in_wave")
        plane = sines_2d(frames, bins, channels, self.period).reshape(-1, channels)
        x = x + self.weight * plane
        if self.position == "scaled":
            init = nn.initializers.normal(1 / SCALED)
            places = SCALED * self.param("positions", init, (self.learned, channels))[:length]
        else:
            start = -(length - 1) / 2 if self.position == "cape" else 0
            places = sines(np.arange(length) + start, channels, self.period)
        t = t + self.weight * places
        for number in range(self.layers):
            cross = number % 2 != int(self.cross_first)
            one = CrossLayer(self.options, cross, name=f"spectra_{number}")
            two = CrossLayer(self.options, cross, name=f"waves_{number}")
            x, t = (one(x, t), two(t, x)) if cross else (one(x), two(t))
        return x.reshape(shape), t


def sines(positions: np.ndarray, channels: int, period: float) -> np.ndarray:
    """[position, channel]: cosines of falling frequencies, and then their sines."""
    half = channels // 2
    phase = positions[:, None] / period ** (np.arange(half) / (half - 1))
    return np.concatenate([np.cos(phase), np.sin(phase)], axis=-1).astype(np.float32)


def sines_2d(frames: int, bins: int, channels: int, period: float) -> np.ndarray:
    """[frame, bin, channel]: half of the channels tell the frame, the others the bin."""
    quarter = channels // 4
    rates = period ** (-np.arange(quarter) / quarter)

    def interleaved(count):
        phase = np.arange(count)[:, None] * rates
        return np.stack([np.sin(phase), np.cos(phase)], axis=-1).reshape(count, -1)

    made = np.empty((frames, bins, channels), np.float32)
    made[..., : channels // 2] = interleaved(frames)[:, None]
    made[..., channels // 2 :] = interleaved(bins)
    return made
