"""From magnitude estimates to complex stems: ratio mask, and multichannel Wiener filter by EM.

The filter of norbert 0.2.1 (Nugraha, Liutkus, Vincent 2016; Liutkus and Stoeter 2019), arranged so
that float32 carries it. Mono and panned sources make spatial covariances singular; the original
then divides by determinants as small as its regularisation, 1e-8, which float32 cancels away. Here
every covariance is R = u u^H + w w^H with u = (u0, u1), w = (0, w1), w1 from the part of the right
channel that the left one does not explain, and everything is built from the 2 x 2 determinants
[a, b] = a0 b1 - a1 b0 of such factors: small numbers arise as squares of differences, never as
differences of squares.

    det(sum_k v_k R_k + l I)  = l^2 + l sum_k v_k tr R_k + sum_{j <= k} v_j v_k D_jk,   all >= 0
    R_j adj(sum_k v_k R_k + l I) x = l R_j x + sum_k v_k sum_{a in j, b in k} a conj([a, b]) [x, b]

Open-Unmix's filter is the same with a larger regularisation and a residual of its own: `epsilon`
1e-10 and `difference`.

Complex numbers are pairs of real arrays inside, which the compiler vectorises, and a few bins are
taken at a time, all iterations at once, so that intermediate results stay in a core's cache.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Union

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax import nn as jnn

from xumx_jax.postfilters.stereo import (
    Channels,
    each,
    factors_of,
    filter_stereo,
    power_of,
    products,
    tilt_of,
    unexplained,
)

if TYPE_CHECKING:
    from xumx_jax.postfilters.band_frames import BandFrames

EPSILON = float(np.finfo(np.float64).eps)  # the original runs in double precision
REGULARISER = EPSILON**0.5
SLOPE = 15.0  # of the sigmoid that sharpens ratio masks
SCALE = 10.0  # the largest magnitude of a scaled mixture
BLOCK_BINS = 128


@dataclass(frozen=True)
class AxisFrames:
    """Values of a bin lie along an axis, and all share their statistics."""

    axis: int = -1

    def total(self, values: Array) -> Array:
        """Sum over the frames of each bin, which are then one."""
        return values.sum(self.axis, keepdims=True)

    def spread(self, values: Array) -> Array:
        """One number of each bin, to be broadcast over its frames."""
        return values

    def loudest(self, mix: Array) -> Array:
        """The largest magnitude of a mixture, of all bins."""
        return jnp.abs(mix).max()


LAST_AXIS = AxisFrames()
Frames = Union[AxisFrames, "BandFrames"]  # of an STFT, or of a sliCQ


def wiener(
    estimate: Array,
    mix: Array,
    niter: int = 1,
    softmask: bool = False,
    alpha: float = 1.0,
    residual: bool = False,
    frame_axis: int = -1,
    *,
    logit: float | None = None,
    difference: bool = False,
    epsilon: float = EPSILON,
    scale: float = SCALE,
    fit: bool = True,
    loudest: Array | None = None,
    bins_at_once: int | None = BLOCK_BINS,
    over: "BandFrames | None" = None,
) -> Array:
    """Filter estimates [source, channel, bin, frame] and mixture [channel, bin, frame] to spectra.

    Returns complex64 [source, channel, bin, frame]; `residual` adds a source with what the
    magnitudes leave of the mixture's. Estimates are magnitudes, and the first spectra are these
    with the mixture's phase or, with `softmask`, the mixture divided in proportion to magnitudes **
    `alpha` (used only with `softmask`). A ratio mask m becomes 1 / (1 + exp(-15 (m - `logit`))) if
    that is given. Complex estimates are used as the first spectra. With `difference`, the residual
    is the mixture minus the first spectra of the others; without `fit` a residual of magnitudes
    leaves the others as they are. `niter` iterations of EM follow; its statistics are those of all
    frames given, and its scaling makes `loudest`, by default the largest magnitude of the mixture,
    `scale`. `epsilon` is a variance that belongs to no source. `frame_axis` -2 means spectra with
    the layout [..., frame, bin]; `over` means those of a sliCQ, [..., slice, coefficient], of which
    one at a time is filtered, and says which share their statistics. Gradients need least memory
    with `bins_at_once` None. Raises ValueError on EM with more than two channels.
    """
    if niter and mix.shape[0] > 2:
        raise ValueError(f"wiener: the mixture has {mix.shape[0]} channels; EM takes one or two")
    estimate = jnp.broadcast_to(estimate, (estimate.shape[0], *mix.shape))
    frames = over or AxisFrames(frame_axis)
    gain = jnp.maximum(1.0, (frames.loudest(mix) if loudest is None else loudest) / scale)
    rules = softmask, alpha, logit, residual, difference, fit

    def filtered(estimate, mix):
        spec = _first(estimate, mix, *rules, epsilon, frames)
        return _refine(spec, mix, niter, epsilon, frames, gain) if niter else spec

    if over:
        if not (over.whole and niter and bins_at_once and mix.shape[0] == 2):
            return filtered(estimate, mix)
        from xumx_jax.postfilters.slice_loop import refine_slices  # which an STFT does not need

        def at_once(first, mix, gain):
            return _refine(_with_phase(first, mix), mix, niter, epsilon, frames, gain)

        first = _first(estimate, mix, *rules, epsilon, frames, phase=False)
        mix = mix.astype(jnp.result_type(first, mix))
        return refine_slices(at_once, niter, epsilon, over, first, mix, gain)
    bin_axis = -1 if frame_axis == -2 else -2
    bins = mix.shape[bin_axis]
    count = -(-bins // (bins_at_once or bins))
    if count == 1 or not niter:
        return filtered(estimate, mix)
    # Bins are independent. The last block begins early, to be as long as the others.
    size = -(-bins // count)
    axes = (estimate.ndim + bin_axis, mix.ndim + bin_axis)

    def body(block, result):
        at = jnp.minimum(block * size, bins - size)
        estimate_, mix_ = (
            lax.dynamic_slice_in_dim(values, at, size, axis)
            for values, axis in zip((estimate, mix), axes, strict=True)
        )
        return lax.dynamic_update_slice_in_dim(result, filtered(estimate_, mix_), at, axes[0])

    # Made from the mixture, so that it varies over devices as that does, under shard_map.
    empty = jnp.broadcast_to(mix * 0, (estimate.shape[0] + residual, *mix.shape))
    return lax.fori_loop(0, count, body, empty)


def _first(
    estimate, mix, softmask, alpha, logit, residual, difference, fit, epsilon, frames, phase=True
) -> Array:
    """The first spectra, complex [source, channel, bin, frame].

    Without `phase`, magnitudes that are to get the mixture's phase are returned as they are.
    """
    size = jnp.abs(mix)
    is_complex = jnp.iscomplexobj(estimate)
    magnitudes = jnp.abs(estimate) if is_complex and softmask else estimate
    mix_size = size
    if softmask and alpha != 1.0:
        magnitudes = magnitudes**alpha
        mix_size = size**alpha
    if is_complex and not softmask:
        spec = estimate
        difference = residual
    else:
        if residual and not difference:
            magnitudes = with_residual(magnitudes, mix_size, frames, fit)
        if softmask:
            mask = magnitudes / (epsilon + magnitudes.sum(0))
            spec = mix * (mask if logit is None else jnn.sigmoid(SLOPE * (mask - logit)))
        elif not phase and not (residual and difference):
            return magnitudes
        else:
            spec = _with_phase(magnitudes, mix)
    if residual and difference:
        spec = jnp.concatenate([spec, (mix - spec.sum(0))[None]])
    return spec


def _with_phase(spec: Array, mix: Array) -> Array:
    """Give magnitudes the mixture's phase; an empty bin has phase 0. Complex spectra stay."""
    if jnp.iscomplexobj(spec):
        return spec
    size = jnp.abs(mix)
    return spec * jnp.where(size > 0, mix / jnp.where(size > 0, size, 1), 1)


def expectation_maximization(
    spec: Array, mix: Array, niter: int = 1, epsilon: float = EPSILON, frame_axis: int = -1
) -> tuple[Array, Array, Array]:
    """Refine spectra [source, channel, bin, frame]: (spectra, variances, covariances).

    No scaling: the mixture's magnitudes should be between 1 and 10. Variances [source, bin, frame]
    and spatial covariances [source, bin, channel, channel] are those of the last iteration.
    """
    frames = AxisFrames(frame_axis)
    spec = _refine(spec, mix, niter - 1, epsilon, frames)
    v = jnp.square(jnp.abs(spec)).mean(1)
    y = jnp.moveaxis(spec, frame_axis, -1)
    r = jnp.einsum("jcft,jdft->jfcd", y, y.conj(), precision=lax.Precision.HIGHEST)
    r = r / (epsilon + v.sum(frame_axis))[..., None, None]
    return _refine(spec, mix, 1, epsilon, frames), v, r


def _refine(spec, mix, niter, epsilon, frames: Frames, gain: float | Array = 1.0) -> Array:
    """Iterations of EM from `spec` [source, channel, bin, frame], both scaled by 1 / `gain`."""
    step = _stereo_step if mix.shape[0] == 2 else _mono_step
    spec, mix = spec / gain, mix / gain
    channels = range(mix.shape[0])
    x = tuple((mix[c].real, mix[c].imag) for c in channels)
    y = tuple((spec[:, c].real, spec[:, c].imag) for c in channels)
    y = lax.fori_loop(0, niter, lambda _, y: step(y, x, epsilon, frames), y)
    return jnp.stack([lax.complex(re * gain, im * gain) for re, im in y], axis=1)


def with_residual(
    magnitudes: Array, mix: Array, frames: Frames = LAST_AXIS, fit: bool = True
) -> Array:
    """Append to magnitudes [source, channel, bin, frame] their remainder of the mixture's.

    With `fit`, each bin and channel of the given sources is scaled to fit the mixture over time in
    the least-squares sense. The appended source is the positive part of the remainder before that
    scaling: the order of the original, kept although the two do not add up to the mixture.
    """
    target = jnp.maximum(EPSILON, mix)
    total = magnitudes.sum(0)
    rest = jnn.relu(target - total)
    if fit:
        gain = frames.total(target * total) / (EPSILON + frames.total(jnp.square(total)))
        magnitudes = magnitudes * frames.spread(gain)
    return jnp.concatenate([magnitudes, rest[None]])


def _mono_step(y: Channels, x: Channels, epsilon: float, frames: Frames) -> Channels:
    """One iteration on one channel: y [source, bin, frame], x [bin, frame]."""
    v = power_of(y[0])
    total = frames.total(v)
    modelled = v * frames.spread(total / (epsilon + total))
    share = modelled / (modelled.sum(0) + epsilon**0.5)
    return (each(lambda part: share * part, x[0]),)


def _stereo_step(y: Channels, x: Channels, epsilon: float, frames: Frames) -> Channels:
    """One iteration on two channels: y [source, bin, frame] each, mixture x [bin, frame]."""
    power, v, cross = products(y)
    left, variance, shared = jax.tree.map(frames.total, (power, v, cross))
    tilt = tilt_of(left, shared)
    rest = frames.total(unexplained(y, each(frames.spread, tilt)))
    factors = factors_of(left, variance, tilt, rest, epsilon)
    return filter_stereo(v, jax.tree.map(frames.spread, factors), x, epsilon**0.5)
