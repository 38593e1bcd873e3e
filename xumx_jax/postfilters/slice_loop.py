"""The Wiener filter of two channels over the slices of a sliCQ, a few after another.

What is in between stays in a core's cache, which takes less time and a fourth of the memory. Bands
of any number share the loops: sums over slices are kept for each coefficient, and added up to those
of bands after the loop.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from xumx_jax.postfilters import stereo
from xumx_jax.postfilters.band_frames import BandFrames
from xumx_jax.postfilters.stereo import Channels, Pair, each, power_of, times_conj

MOST = 6  # slices at a time; with a single one, what is the same in all is computed again for each
LIFT = 2.0**40  # of magnitudes before they are squared, which would else be 0 below 1e-19


class Slices(NamedTuple):
    """What an iteration needs of spectra, each a function of the first of a few slices.

    products     as in `stereo`
    unexplained  the same, also of a tilt
    variance     the second of the products
    """

    products: Callable[[Array], tuple[Array, Array, Pair]]
    unexplained: Callable[[Pair, Array], Array]
    variance: Callable[[Array], Array]


@partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2, 3))
def refine_slices(
    at_once: Callable[[Array, Array, Array], Array],
    niter: int,
    epsilon: float,
    over: BandFrames,
    first: Array,
    mix: Array,
    gain: Array,
) -> Array:
    """Iterations of EM from [source, 2, slice, coefficient], spectra, or magnitudes without phase.

    Magnitudes get the phase of the mixture [2, slice, coefficient]. The result is that of both
    scaled by 1 / `gain`. All slices have to be one window. The gradient is that of `at_once`, which
    computes the same of (first, mix, gain) without loops: theirs takes longer.
    """
    # Scaling by 1 / gain is the same as what is added to energies times gain^2.
    scale = jnp.square(gain)
    count = max(n for n in range(1, MOST + 1) if mix.shape[-2] % n == 0)
    one = partial(_step, len(first), mix, epsilon * scale, epsilon**0.5 * scale, over, count)
    start = (
        of_spectra(first, count) if jnp.iscomplexobj(first) else of_magnitudes(first, mix, count)
    )
    spec = one(start)
    if niter == 1:
        return spec
    return lax.fori_loop(1, niter, lambda _, y: one(of_spectra(y, count)), spec)


def _forward(at_once, niter, epsilon, over, *arrays):
    return refine_slices(at_once, niter, epsilon, over, *arrays), arrays


def _backward(at_once, niter, epsilon, over, arrays, cotangent: Array):
    return jax.vjp(at_once, *arrays)[1](cotangent)


refine_slices.defvjp(_forward, _backward)


def of_spectra(spec: Array, count: int) -> Slices:
    """Those of complex spectra, `count` slices at a time."""

    def at(start) -> Channels:
        return _channels(spec, start, count)

    return Slices(
        lambda start: stereo.products(at(start)),
        lambda tilt, start: stereo.unexplained(at(start), tilt),
        lambda start: stereo.products(at(start))[1],
    )


def of_magnitudes(sizes: Array, mix: Array, count: int) -> Slices:
    """Those of magnitudes with the mixture's phase.

    Both channels are turned by the left one's phase, which the sums do not see: the left one is
    then real, and the right one has the difference of phases, computed once for all sources.
    """
    turn = lax.optimization_barrier(times_conj(_phase(mix[1]), _phase(mix[0])))

    def at(start):
        by = each(lambda part: _cut(part, start, count), turn)
        part = _cut(sizes, start, count)
        return part[:, 0], part[:, 1], by

    def variance(start):
        left, right, _ = at(start)
        return (jnp.square(left) + jnp.square(right)) / 2

    def products(start):
        left, right, by = at(start)
        both = left * right
        return jnp.square(left), variance(start), each(lambda part: both * part, by)

    def unexplained(tilt, start):
        left, right, by = at(start)
        return power_of(each(lambda a, b: right * a - b * left, by, tilt))

    return Slices(products, unexplained, variance)


def _step(
    sources: int,
    mix: Array,
    epsilon: Array,
    regulariser: Array,
    over: BandFrames,
    count: int,
    spectra: Slices,
) -> Array:
    """One iteration."""
    pieces = mix.shape[-2] // count
    # made from the mixture, so that it varies over devices as that does, under shard_map
    nothing = mix[0, :1].real * 0
    nothing = jnp.broadcast_to(nothing, (sources, *nothing.shape))

    def total(values: Callable, start):
        """The sums over slices, then over bands, of what is computed from a slice's spectra."""

        def add(number, sums):
            def added(total, part):
                return sum((part[..., n : n + 1, :] for n in range(count)), total)

            return jax.tree.map(added, sums, values(number * count))

        return jax.tree.map(over.total, lax.fori_loop(0, pieces, add, start))

    left, variance, shared = total(spectra.products, (nothing, nothing, (nothing, nothing)))
    tilt = stereo.tilt_of(left, shared)
    rest = total(partial(spectra.unexplained, each(over.spread, tilt)), nothing)
    # [source, 1, coefficient] each
    left, variance, tilt, rest = jax.tree.map(over.spread, (left, variance, tilt, rest))
    factors = stereo.factors_of(left, variance, tilt, rest, epsilon)

    def fill(number, result):
        start = number * count
        x = _channels(mix, start, count)
        found = stereo.filter_stereo(spectra.variance(start), factors, x, regulariser)
        found = jnp.stack([lax.complex(*part) for part in found], axis=1)
        return lax.dynamic_update_slice_in_dim(result, found, start, -2)

    empty = jnp.broadcast_to(mix * 0, (sources, *mix.shape))
    return lax.fori_loop(0, pieces, fill, empty)


def _cut(values: Array, start: Array, count: int) -> Array:
    """Some of the slices of [..., slice, coefficient]."""
    return lax.dynamic_slice_in_dim(values, start, count, axis=-2)


def _channels(spec: Array, start: Array, count: int) -> Channels:
    """The same of [..., 2, slice, coefficient], each channel a pair."""
    part = _cut(spec, start, count)
    return tuple((part[..., c, :, :].real, part[..., c, :, :].imag) for c in range(2))


def _phase(values: Array) -> Pair:
    """Complex values divided by their magnitudes; an empty one has phase 0."""
    lifted = values.real * LIFT, values.imag * LIFT
    power = power_of(lifted)
    there = power > 0
    inverse = lax.rsqrt(jnp.where(there, power, 1))
    real, imaginary = each(lambda part: part * inverse, lifted)
    return jnp.where(there, real, 1), jnp.where(there, imaginary, 0)
