"""SCNet's layers: bands of spectra that are thinned out the more, the higher they are.

Tong et al. 2024, "SCNet: Sparse Compression Network for Music Source Separation". Spectra are
[batch, frame, bin, channel].
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jax import nn as jnn

from xumx_jax.layers.activations import gelu, glu
from xumx_jax.layers.bidirectional import BidirectionalLstm
from xumx_jax.layers.convolution import Conv, TransposedConv
from xumx_jax.layers.group_norm import GroupNorm
from xumx_jax.layers.groups import by_groups
from xumx_jax.layers.initializers import symmetric

TAPS = 3
GATES = 1 << 22  # values that the gates of an LSTM have at once, of either direction


@dataclass(frozen=True)
class Band:
    """One band of a layer: `bins` of them become `length`.

    taps, stride  of its convolution, before which come `left` and `right` bins of silence
    """

    bins: int
    taps: int
    stride: int
    left: int
    right: int
    length: int


def bands_of(
    bins: int, shares: Sequence[float], taps: Sequence[int], strides: Sequence[int]
) -> tuple[Band, ...]:
    """The bands of a layer that sees so many bins: shares of them, the last one the rest.

    Raises ValueError if one has none.
    """
    low = math.ceil(bins * shares[0])
    middle = math.ceil(bins * (shares[0] + shares[1]))
    found = []
    for size, k, s in zip((low, middle - low, bins - middle), taps, strides, strict=True):
        if size < 1:
            raise ValueError(f"shares {tuple(shares)} of {bins} bins: wanted one in each band")
        more = k - 1 if s == 1 else -size % s
        length = (size + more - k) // s + 1
        if length < 1:
            raise ValueError(f"a band of {size} bins: wanted at least {k}, its kernel's")
        found.append(Band(size, k, s, more // 2, more - more // 2, length))
    return tuple(found)


class Compress(nn.Module):
    """Convolve each band at its stride, and its frames in few channels: (output, skip).

    features   of the output
    depths     of the residual layers of each band
    hidden, taps   of these: channels inside, and of their kernels
    """

    features: int
    bands: tuple[Band, ...]
    depths: tuple[int, ...]
    hidden: int
    taps: int

    @nn.compact
    def __call__(self, x: Array) -> tuple[Array, Array]:
        start, found = 0, []
        for number, (band, depth) in enumerate(zip(self.bands, self.depths, strict=True)):
            y = x[..., start : start + band.bins, :]
            start += band.bins
            y = Conv(
                self.features, band.taps, band.stride, (band.left, band.right),
                name=f"band_{number}",
            )(y)  # fmt: skip
            for layer in range(depth):
                name = f"frames_{number}_{layer}"
                y = y + Frames(self.hidden, self.taps, name=name)(y)
            found.append(gelu(y))
        skip = jnp.concatenate(found, axis=-2)
        return Conv(self.features, (TAPS, TAPS), padding=1, name="all")(skip), skip


class Frames(nn.Module):
    """Convolutions along the frames of each bin, in few channels, with statistics of that bin."""

    hidden: int
    taps: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        side = self.taps // 2
        y = GroupNorm(1, (-3,), name="norm_0")(x)
        wide = Conv(2 * self.hidden, self.taps, padding=side, axis=-3, name="squeeze")
        y = glu(wide(y))
        limit = symmetric(self.taps**-0.5)
        kernel = self.param("each", limit, (self.taps, self.hidden))
        bias = self.param("each_bias", limit, (self.hidden,))
        frames = y.shape[-3]
        padded = jnp.pad(y, [(0, 0), (side, side), (0, 0), (0, 0)])
        y = sum(padded[:, tap : tap + frames] * kernel[tap] for tap in range(self.taps)) + bias
        y = GroupNorm(1, (-3,), jnn.silu, name="norm_1")(y)
        return Conv(x.shape[-1], 1, name="expand")(y)


class Expand(nn.Module):
    """The opposite of `Compress`: add the skip, and bring each band back to its bins."""

    features: int
    bands: tuple[Band, ...]

    @nn.compact
    def __call__(self, x: Array, skip: Array) -> Array:
        wide = Conv(2 * x.shape[-1], (TAPS, TAPS), padding=1, copies=2, name="all")
        x = glu(wide(x + skip))
        start, found = 0, []
        for number, band in enumerate(self.bands):
            y = x[..., start : start + band.length, :]
            start += band.length
            y = TransposedConv(self.features, band.taps, band.stride, name=f"band_{number}")(y)
            before = (y.shape[-2] - band.bins) // 2
            found.append(y[..., before : before + band.bins, :])
        return jnp.concatenate(found, axis=-2)


class DualPath(nn.Module):
    """LSTMs over the bins of each frame and then over the frames of each bin, each added."""

    hidden: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        for axis in ("bins", "frames"):
            y = GroupNorm(1, name=f"{axis}_norm")(x)
            y = y if axis == "bins" else y.swapaxes(1, 2)
            rows = y.reshape(-1, *y.shape[2:])
            lstm = BidirectionalLstm(1, hidden=self.hidden, name=axis)
            found = some_at_a_time(lstm, rows, GATES // (4 * self.hidden)).reshape(y.shape)
            x = x + (found if axis == "bins" else found.swapaxes(1, 2))
        return x


def some_at_a_time(module: nn.Module, x: Array, rows: int) -> Array:
    """Apply a module, which treats items alike, to groups of [item, position, feature].

    Groups have about so many positions in all, which bounds what is in memory on the way.
    """
    items, positions, _ = x.shape
    groups = max(1, items * positions // rows)
    if groups == 1:
        return module(x)
    scan = nn.scan(
        lambda module, carry, group: (carry, module(group)),
        variable_broadcast="params",
        split_rngs={"params": False},
    )
    return by_groups(lambda parts: scan(module, (), parts)[1], x, -(-items // groups))
