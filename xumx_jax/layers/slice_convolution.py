"""The layers of xumx-sliCQ-V2's autoencoders, which see a few slices of a block of bands.

Frames are half slices: a kernel of the first layer spans a slice and goes on by half of it, so that
it is two products, with each half on its own, which are added up one frame apart. Likewise the last
layer, transposed. The two layers between them have four taps in time: one product for all taps,
then four terms, each shifted. Along the bands, kernels with several taps see neighbours side by
side as more features.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from xumx_jax.layers.dense import contract

TAPS = 4  # in time, of the layers in the middle
Span = tuple[Any, Any]  # the first slice of the track, and the one after its last


class Bands(NamedTuple):
    """How kernels see bands.

    taps    how many that are neighbours
    singly  compute one band after another, so that little memory is used
    """

    taps: int
    singly: bool


class Kernels(NamedTuple):
    """Of one block, for bands that are packed to halves of `half` values.

    first   pieces of a kernel, each [tap * channel * half, source * feature]
    second  [source, tap * feature, TAPS * inner]
    third   [source, tap * inner, TAPS * feature]
    last    for each half, [source, tap * feature, channel * half]
    bias    [source, channel]
    """

    first: tuple[Array, ...]
    second: Array
    third: Array
    last: tuple[Array, Array]
    bias: Array


class Unit(NamedTuple):
    """Bands of one block that are worked on together: all of a block, or one.

    mix    complex [band, item, channel, half slice, value]
    mean   what is added to magnitudes, [band]
    scale  what they are then multiplied by, [band]
    block  number of the block among those of the weights
    start  its first value among those of all blocks
    size   coefficients of a slice
    more   what `finish` needs, [band, ...]
    """

    mix: Array
    mean: Array
    scale: Array
    block: Array
    start: Array
    size: Array
    more: Array


def valid(count: int, span: Span, missing: int = 0) -> Array:
    """Which of `count` frames or half slices belong to the track, [frame]; fewer at its end."""
    at, (begin, end) = jnp.arange(count), span
    return (at >= 2 * begin) & (at < 2 * end - missing)


def shifted(x: Array, by: int) -> Array:
    """[..., frame, feature] as it is `by` frames later, or earlier; 0 beyond the ends."""
    count = x.shape[-2]
    least, most = min(max(by, 0), count), min(max(-by, 0), count)
    pads = [(0, 0)] * (x.ndim - 2) + [(most, least), (0, 0)]
    return jnp.pad(x[..., least : count - most, :], pads)


def along(layer: Callable[[Array], Array], x: Array, bands: Bands, back: bool = False) -> Array:
    """Apply a layer to as many neighbouring bands side by side as its kernel has taps.

    [..., band, item, frame, feature] -> the same, as convolutions along bands do or, with `back`,
    transposed ones. `layer` takes [..., band, item, frame, tap * feature].
    """
    axis, most = x.ndim - 4, bands.taps - 1
    if not most:
        return layer(x)
    if back:
        pads = [(0, 0)] * x.ndim
        pads[axis] = (most, most)
        x = jnp.pad(x, pads)
    count = x.shape[axis] - most

    def of(x, count):
        taps = [lax.slice_in_dim(x, tap, tap + count, axis=axis) for tap in range(bands.taps)]
        return layer(jnp.concatenate(taps[::-1] if back else taps, axis=-1))

    if not bands.singly:
        return of(x, count)
    at = jnp.arange(count)
    y = lax.map(lambda at: of(lax.dynamic_slice_in_dim(x, at, bands.taps, axis), 1), at)
    return jnp.moveaxis(y.squeeze(axis + 1), 0, axis)


def whitened(unit: Unit, inside: Array) -> Array:
    """Normalised magnitudes, [band, item, half slice, channel, value]; 0 outside the track."""
    power = jnp.square(unit.mix.real) + jnp.square(unit.mix.imag)
    mean, scale = (part[:, None, None, None, None] for part in (unit.mean, unit.scale))
    inside = inside[:, None] & (jnp.arange(power.shape[-1]) < unit.size // 2)
    x = jnp.where(inside, (jnp.sqrt(power) + mean) * scale, 0)
    return x.swapaxes(-3, -2)


def first(x: Array, pieces: Sequence[Array], bands: Bands, sources: int, dtype: str) -> Array:
    """[band, item, half, channel, value] -> [source, band, item, frame, feature].

    With two pieces of kernels, a frame spans two halves. With three it spans a half less its first
    value, another one, and the first value of a third.
    """

    def product(x, piece):
        def layer(x):
            return contract("fbjk,kn->fbjn", x, piece, dtype)

        return along(layer, x.reshape(*x.shape[:3], -1), bands)

    if len(pieces) == 2:
        y = product(x, pieces[0]) + shifted(product(x, pieces[1]), 1)
    else:
        later = jnp.pad(x[..., 1:], [(0, 0)] * (x.ndim - 1) + [(0, 1)])
        y = shifted(product(later, pieces[0]), -2) + shifted(product(x, pieces[1]), -1)
        y = y + product(x[..., :1], pieces[2])
    y = y.reshape(*y.shape[:-1], sources, -1)
    return jnp.moveaxis(y, -2, 0)


def middle(x: Array, kernel: Array, bands: Bands, back: bool, dtype: str) -> Array:
    """[source, band, item, frame, feature] -> the same with other features, and bands."""

    def layer(x):
        y = contract("tfbjk,tkn->tfbjn", x, kernel, dtype)
        y = y.reshape(*y.shape[:-1], TAPS, -1)
        terms = [shifted(y[..., tap, :], -tap if back else tap) for tap in range(TAPS)]
        return sum(terms[1:], terms[0])

    return along(layer, x, bands, back)


def last(
    x: Array, halves: Sequence[Array], bias: Array, bands: Bands, channels: int, dtype: str
) -> Array:
    """[source, band, item, frame, feature] -> masks [source, band, item, half, channel, value]."""

    def layer(x):
        one, other = (contract("tfbjk,tkn->tfbjn", x, half, dtype) for half in halves)
        return one + shifted(other, -1)

    z = along(layer, x, bands, back=True)
    z = z.reshape(*z.shape[:-1], channels, -1)
    return jax.nn.sigmoid(z + bias[:, None, None, None, :, None])
