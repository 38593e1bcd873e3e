"""Bands of bins that may overlap: features of each, and values of bins that their bands agree on.

Band k covers the bins bands[k][0] to bands[k][1] - 1. Each has weights of its own, which lie side
by side on one axis, bin by bin. Bands that follow each other and are about equally wide share one
matrix product.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array, lax
from jax import nn as jnn

from xumx_jax.layers.axial_transformer import unit
from xumx_jax.layers.dense import product
from xumx_jax.layers.initializers import symmetric

Bands = tuple[tuple[int, int], ...]
ROWS = 128  # frames whose masks a processor estimates at once


@dataclass(frozen=True, eq=False)
class Run:
    """Successive bands whose widths differ by one bin at most, `first` to `end` - 1.

    source   which values of a frame they read, [band, place]: `values` for each bin
    weights  where their weights lie, the same; places in excess read some of the others'
    there    which places a band has, the same
    """

    first: int
    end: int
    source: np.ndarray
    weights: np.ndarray
    there: np.ndarray


@lru_cache
def runs(bands: Bands, values: int) -> tuple[Run, ...]:
    """The bands in runs, for so many values of each bin."""
    widths, found, first = [high - low for low, high in bands], [], 0
    starts = np.cumsum([0, *widths])
    for band in range(1, len(bands) + 1):
        if band < len(bands) and np.ptp(widths[first : band + 1]) <= 1:
            continue
        place = np.arange(max(widths[first:band]) * values)
        there = place < np.array(widths[first:band])[:, None] * values
        low = np.array([low for low, _ in bands[first:band]])[:, None] * values
        start = starts[first:band][:, None] * values
        source, weights = (np.where(there, begin + place, begin) for begin in (low, start))
        found.append(Run(first, band, source, weights, there))
        first = band
    return tuple(found)


def size(bands: Bands, values: int) -> int:
    """The number of values of all bands."""
    return sum(high - low for low, high in bands) * values


class BandFeatures(nn.Module):
    """[..., bin * value] -> [..., band, feature]: a normalised dense layer for each band."""

    bands: Bands
    values: int
    features: int

    @nn.compact
    def __call__(self, x: Array, dtype: str) -> Array:
        count, widths = size(self.bands, self.values), self.values * np.diff(self.bands)[:, 0]
        limits = (widths**-0.5).astype(np.float32)[:, None]
        gain = self.param("gain", nn.initializers.ones, (count,))
        kernel = self.param(
            "kernel", symmetric(np.repeat(limits, widths, 0)), (count, self.features)
        )
        bias = self.param("bias", symmetric(limits), (len(widths), self.features))
        rows, made, found = x.reshape(-1, x.shape[-1]), [], runs(self.bands, self.values)
        parts = zip(found, by_run(gain, found, 0), by_run(kernel, found, 0), strict=True)
        for run, its_gain, its_kernel in parts:
            there = run.there.astype(np.float32)
            y = unit(rows[:, run.source] * there).swapaxes(0, 1)  # [band, row, place]
            gains = its_gain * (there * there.sum(-1, keepdims=True) ** 0.5)
            made.append(product(y, its_kernel * gains[..., None], dtype))
        y = jnp.concatenate(made) + bias[:, None]
        return y.swapaxes(0, 1).reshape(*x.shape[:-1], len(widths), self.features)


class BandValues(nn.Module):
    """[..., band, feature] -> [..., source, bin * value]: an MLP for each source and band.

    Where bands overlap, values are the mean of theirs.

    layers   hidden ones, each followed by tanh; the last layer has gates (GLU)
    hidden   their width
    """

    bands: Bands
    values: int
    sources: int
    layers: int
    hidden: int

    @nn.compact
    def __call__(self, x: Array, dtype: str) -> Array:
        (bands, features), count = x.shape[-2:], size(self.bands, self.values)
        inputs, hidden = features, []
        for number in range(self.layers):
            shape, init = (self.sources, bands, inputs, self.hidden), symmetric(inputs**-0.5)
            kernel = self.param(f"hidden_{number}", init, shape)
            bias = self.param(f"hidden_{number}_bias", init, (*shape[:2], self.hidden))
            hidden.append((kernel, bias))
            inputs = self.hidden
        shape, init = (2, self.sources, inputs, count), symmetric(inputs**-0.5)
        kernel = self.param("kernel", init, shape)
        bias = self.param("bias", init, (2, self.sources, count))

        in_runs = runs(self.bands, self.values)
        sizes = [run.end - run.first for run in in_runs]

        def estimate(rows: Array) -> Array:
            """[row, band, feature] -> [row, source, value of a band]."""
            start, found = rows.swapaxes(0, 1), []
            kernels = lax.split(kernel, (1,) * self.sources, axis=1)
            for source in range(self.sources):
                y, parts = start, []
                for weights, biases in hidden:
                    y = jnp.tanh(product(y, weights[source], dtype) + biases[source][:, None])
                its_kernels = by_run(kernels[source][:, 0], in_runs, -1)
                for run, x, at in zip(in_runs, lax.split(y, sizes), its_kernels, strict=True):
                    at = at.transpose(2, 1, 0, 3)  # [band, hidden, half, place]
                    z = product(x, at.reshape(*at.shape[:2], -1), dtype)
                    z = z.reshape(*z.shape[:2], 2, -1).transpose(1, 2, 0, 3)
                    z = z.reshape(*z.shape[:2], -1)
                    parts.append(z if run.there.all() else z[..., np.flatnonzero(run.there)])
                z = jnp.concatenate(parts, axis=-1) + bias[:, source]
                found.append(z[:, 0] * jnn.sigmoid(z[:, 1]))
            return jnp.stack(found, axis=1)

        y = over_rows(estimate, x.reshape(-1, bands, features))
        return agreed(self.bands, self.values, y).reshape(*x.shape[:-2], self.sources, -1)


def by_run(weights: Array, found: Sequence[Run], axis: int) -> list[Array]:
    """The weights of each run, [band, place] in place of an axis along which all lie.

    Cut in one go where places follow each other, as the gradient then is one array: that of a sum
    of many, each filled up with zeros, takes a CPU longer than the products.
    """
    axis = axis % weights.ndim
    if not all(run.there.all() for run in found):
        return [jnp.take(weights, run.weights, axis=axis) for run in found]
    parts = lax.split(weights, [run.weights.size for run in found], axis=axis)
    return [
        part.reshape(*part.shape[:axis], *run.weights.shape, *part.shape[axis + 1 :])
        for run, part in zip(found, parts, strict=True)
    ]


def over_rows(function, x: Array) -> Array:
    """Apply a function of [row, ...] that treats rows alike, on a CPU to ROWS at a time."""
    rows = len(x)

    def by_groups(x):
        groups = -(-rows // ROWS)
        wider = jnp.pad(x, [(0, groups * ROWS - rows)] + [(0, 0)] * (x.ndim - 1))
        made = lax.map(function, wider.reshape(groups, ROWS, *x.shape[1:]))
        return made.reshape(-1, *made.shape[2:])[:rows]

    if rows <= ROWS:
        return function(x)
    return lax.platform_dependent(x, cpu=by_groups, default=function)


def agreed(bands: Bands, values: int, x: Array) -> Array:
    """[..., value of a band] -> [..., bin * value]: the mean of those that a bin has."""
    places = owners(bands, values)
    if len(places) == 1:
        return x[..., places[0]] if (np.diff(places[0]) != 1).any() else x
    there = places < x.shape[-1]
    total = sum(
        x[..., np.where(known, at, 0)] * known.astype(np.float32)
        for at, known in zip(places, there, strict=True)
    )
    return total / there.sum(0).astype(np.float32)


@lru_cache
def owners(bands: Bands, values: int) -> np.ndarray:
    """Which values of bands a bin has, [number, bin * value]; one past the last for none."""
    count = size(bands, values)
    found: list[list[int]] = [[] for _ in range(max(high for _, high in bands) * values)]
    at = 0
    for low, high in bands:
        for value in range(low * values, high * values):
            found[value].append(at)
            at += 1
    most = max(map(len, found))
    return np.array([[*each, *[count] * (most - len(each))] for each in found]).T


def check_bands(bands: Sequence[Sequence[int]], bins: int) -> None:
    """Raise ValueError unless the bands, one after another, cover all bins."""
    covered = 0
    for low, high in bands:
        if not (low <= covered < high or low < high <= covered):
            break
        covered = max(covered, high)
    else:
        if covered == bins:
            return
    raise ValueError(f"bands {bands}: wanted (first, last + 1), which together cover {bins} bins")
