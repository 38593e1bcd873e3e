"""Bands of bins with weights of their own: split into features, and back to values per bin.

Band k covers the bins edges[k] to edges[k + 1] - 1. Bands that follow each other and are about
equally wide share one matrix product. Luo and Yu 2023, "Music Source Separation With Band-Split
RNN".
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array, lax

from xumx_jax.layers.dense import product
from xumx_jax.layers.initializers import symmetric

EPSILON = 1e-5


def runs(edges: Sequence[int]) -> list[tuple[int, int]]:
    """Successive bands whose widths differ by one bin at most, as (first band, last band + 1)."""
    widths, found, first = np.diff(edges), [], 0
    for band in range(1, len(widths) + 1):
        if band == len(widths) or np.ptp(widths[first : band + 1]) > 1:
            found.append((first, band))
            first = band
    return found


def places(edges: Sequence[int], first: int, end: int) -> tuple[np.ndarray, np.ndarray]:
    """The bins of bands `first` to `end` - 1, and which of them are there, both [band, place].

    Narrower bands have places in excess, which name their last bin.
    """
    low, high = np.array(edges[first:end])[:, None], np.array(edges[first + 1 : end + 1])[:, None]
    bins = low + np.arange((high - low).max())
    return np.minimum(bins, high - 1), bins < high


def columns(edges: Sequence[int], first: int, end: int) -> np.ndarray:
    """Where [band * place] has each bin of bands `first` to `end` - 1: the inverse of `places`."""
    return np.flatnonzero(places(edges, first, end)[1])


class BandSplit(nn.Module):
    """[..., bin] -> [..., band, feature]: layer normalisation and a linear layer for each band.

    A band of one bin is constant once it is normalised.
    """

    edges: tuple[int, ...]
    features: int

    @nn.compact
    def __call__(self, x: Array, dtype: str = "float32") -> Array:
        bins, bands = self.edges[-1], len(self.edges) - 1
        widths = np.diff(self.edges)
        scale = self.param("scale", nn.initializers.ones, (bins,))
        shift = self.param("shift", nn.initializers.zeros, (bins,))
        limits = np.repeat(widths**-0.5, widths)[:, None].astype(np.float32)
        kernel = self.param("kernel", symmetric(limits), (bins, self.features))
        bias = self.param("bias", symmetric(limits[list(self.edges[:-1])]), (bands, self.features))
        rows, outputs = x.reshape(-1, bins), []
        for first, end in runs(self.edges):
            at, there = places(self.edges, first, end)
            there = there.astype(np.float32)
            y = normalised(rows[:, at] * there, there)  # [row, band, place]
            y = y * scale[at] + shift[at] * there
            # places in excess are zero, so they may read any row of the kernel
            y = product(y.swapaxes(0, 1), kernel[at], dtype)
            outputs.append(y)
        y = jnp.concatenate(outputs) + bias[:, None]
        return y.swapaxes(0, 1).reshape(*x.shape[:-1], bands, self.features)


class BandMerge(nn.Module):
    """[..., band, feature] -> [..., value, bin]: an MLP for each band, after layer normalisation.

    values  for each bin
    width   of the hidden layer, which is followed by tanh
    """

    edges: tuple[int, ...]
    values: int
    width: int

    @nn.compact
    def __call__(self, x: Array, dtype: str = "float32") -> Array:
        (bands, features), bins, hidden = x.shape[-2:], self.edges[-1], self.width
        scale = self.param("scale", nn.initializers.ones, (bands, features))
        shift = self.param("shift", nn.initializers.zeros, (bands, features))
        wide = self.param("wide", symmetric(features**-0.5), (bands, features, hidden))
        wide_bias = self.param("wide_bias", symmetric(features**-0.5), (bands, hidden))
        kernel = self.param("kernel", symmetric(hidden**-0.5), (hidden, bins, self.values))
        bias = self.param("bias", symmetric(hidden**-0.5), (self.values, bins))
        y = normalised(x.reshape(-1, bands, features)) * scale + shift
        y = product(y.swapaxes(0, 1), wide, dtype) + wide_bias[:, None]  # [band, row, hidden]
        y, outputs = jnp.tanh(y), []
        for first, end in runs(self.edges):
            at, _ = places(self.edges, first, end)
            # [hidden, band, place, value] -> [band, hidden, value * place]
            part = kernel[:, at].transpose(1, 0, 3, 2).reshape(end - first, hidden, -1)
            z = product(y[first:end], part, dtype)
            # [band, row, value * place] -> [row, value, band * place]
            z = z.reshape(end - first, -1, self.values, at.shape[1]).transpose(1, 2, 0, 3)
            z = z.reshape(*z.shape[:2], -1)
            outputs.append(z[..., columns(self.edges, first, end)])
        y = jnp.concatenate(outputs, axis=-1) + bias
        return y.reshape(*x.shape[:-2], self.values, bins)


def normalised(x: Array, there: np.ndarray | None = None) -> Array:
    """Give the last axis mean 0 and variance 1; of `x` only where `there` is 1, where x is not 0.

    Ba et al. 2016, without scale and shift.
    """
    if there is None:
        centred = x - x.mean(-1, keepdims=True)
        var = jnp.square(centred).mean(-1, keepdims=True)
    else:
        count = there.sum(-1, keepdims=True)
        centred = (x - x.sum(-1, keepdims=True) / count) * there
        var = jnp.square(centred).sum(-1, keepdims=True) / count
    return centred * lax.rsqrt(var + EPSILON)
