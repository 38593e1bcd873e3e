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

import operator
from functools import reduce

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax import nn as jnn

EPSILON = float(np.finfo(np.float64).eps)  # the original runs in double precision
REGULARISER = EPSILON**0.5
SLOPE = 15.0  # of the sigmoid that sharpens ratio masks
SCALE = 10.0  # the largest magnitude of a scaled mixture
TINY = 1e-36  # keeps 0 / 0 at 0
BLOCK_BINS = 128

Pair = tuple[Array, Array]  # real and imaginary part
Channels = tuple[Pair, ...]  # one pair for each of one or two


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
    the layout [..., frame, bin]. Gradients need least memory with `bins_at_once` None. Raises
    ValueError on EM with more than two channels.
    """
    if niter and mix.shape[0] > 2:
        raise ValueError(f"wiener: the mixture has {mix.shape[0]} channels; EM takes one or two")
    estimate = jnp.broadcast_to(estimate, (estimate.shape[0], *mix.shape))
    gain = jnp.maximum(1.0, (jnp.abs(mix).max() if loudest is None else loudest) / scale)
    rules = softmask, alpha, logit, residual, difference, fit

    def filtered(estimate, mix):
        spec = _first(estimate, mix, *rules, epsilon, frame_axis)
        return _refine(spec, mix, niter, epsilon, frame_axis, gain) if niter else spec

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
    estimate, mix, softmask, alpha, logit, residual, difference, fit, epsilon, frame_axis
) -> Array:
    """The first spectra, complex [source, channel, bin, frame]."""
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
            magnitudes = with_residual(magnitudes, mix_size, frame_axis, fit)
        if softmask:
            mask = magnitudes / (epsilon + magnitudes.sum(0))
            spec = mix * (mask if logit is None else jnn.sigmoid(SLOPE * (mask - logit)))
        else:
            # an empty bin has phase 0
            spec = magnitudes * jnp.where(size > 0, mix / jnp.where(size > 0, size, 1), 1)
    if residual and difference:
        spec = jnp.concatenate([spec, (mix - spec.sum(0))[None]])
    return spec


def expectation_maximization(
    spec: Array, mix: Array, niter: int = 1, epsilon: float = EPSILON, frame_axis: int = -1
) -> tuple[Array, Array, Array]:
    """Refine spectra [source, channel, bin, frame]: (spectra, variances, covariances).

    No scaling: the mixture's magnitudes should be between 1 and 10. Variances [source, bin, frame]
    and spatial covariances [source, bin, channel, channel] are those of the last iteration.
    """
    spec = _refine(spec, mix, niter - 1, epsilon, frame_axis)
    v = jnp.square(jnp.abs(spec)).mean(1)
    y = jnp.moveaxis(spec, frame_axis, -1)
    r = jnp.einsum("jcft,jdft->jfcd", y, y.conj(), precision=lax.Precision.HIGHEST)
    r = r / (epsilon + v.sum(frame_axis))[..., None, None]
    return _refine(spec, mix, 1, epsilon, frame_axis), v, r


def _refine(spec, mix, niter, epsilon, frame_axis, gain: float | Array = 1.0) -> Array:
    """Iterations of EM from `spec` [source, channel, bin, frame], both scaled by 1 / `gain`."""
    step = _stereo_step if mix.shape[0] == 2 else _mono_step
    spec, mix = spec / gain, mix / gain
    channels = range(mix.shape[0])
    x = tuple((mix[c].real, mix[c].imag) for c in channels)
    y = tuple((spec[:, c].real, spec[:, c].imag) for c in channels)
    y = lax.fori_loop(0, niter, lambda _, y: step(y, x, epsilon, frame_axis), y)
    return jnp.stack([lax.complex(re * gain, im * gain) for re, im in y], axis=1)


def with_residual(magnitudes: Array, mix: Array, frame_axis: int = -1, fit: bool = True) -> Array:
    """Append to magnitudes [source, channel, bin, frame] their remainder of the mixture's.

    With `fit`, each bin and channel of the given sources is scaled to fit the mixture over time in
    the least-squares sense. The appended source is the positive part of the remainder before that
    scaling: the order of the original, kept although the two do not add up to the mixture.
    """
    target = jnp.maximum(EPSILON, mix)
    total = magnitudes.sum(0)
    rest = jnn.relu(target - total)
    if fit:
        gain = (target * total).sum(frame_axis, keepdims=True)
        gain = gain / (EPSILON + jnp.square(total).sum(frame_axis, keepdims=True))
        magnitudes = magnitudes * gain
    return jnp.concatenate([magnitudes, rest[None]])


def _power(a: Pair) -> Array:
    return jnp.square(a[0]) + jnp.square(a[1])


def _times(a: Pair, b: Pair) -> Pair:
    return a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]


def _times_conj(a: Pair, b: Pair) -> Pair:
    """a conj(b)."""
    return a[0] * b[0] + a[1] * b[1], a[1] * b[0] - a[0] * b[1]


def _each(function, *pairs: Pair) -> Pair:
    """Apply a function to the real parts, and to the imaginary parts."""
    return function(*(p[0] for p in pairs)), function(*(p[1] for p in pairs))


def _sum(values: Array) -> Array:
    """Add up sources; written out, the compiler fuses it with what surrounds it."""
    return reduce(operator.add, (values[j] for j in range(len(values))))


def root(values: Array) -> Array:
    """Square root; 0 with gradient 0 where there is no energy, or rounding made it negative."""
    positive = values > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, values, 1)), 0)


@jax.custom_jvp
def _quotient(values: Array, energy: Array) -> Array:
    """Divide by an energy, which may be 0; its gradient never squares what may be very small."""
    return values / jnp.maximum(energy, TINY)


@_quotient.defjvp
def _quotient_jvp(primals, tangents):
    (values, energy), (values_dot, energy_dot) = primals, tangents
    quotient, divisor = _quotient(values, energy), jnp.maximum(energy, TINY)
    dot = (values_dot - quotient * energy_dot) / divisor
    return quotient, jnp.where(energy > TINY, dot, 0)


def _mono_step(y: Channels, x: Channels, epsilon: float, frame_axis: int) -> Channels:
    """One iteration on one channel: y [source, bin, frame], x [bin, frame]."""
    v = _power(y[0])
    total = v.sum(frame_axis, keepdims=True)
    modelled = v * (total / (epsilon + total))
    share = modelled / (modelled.sum(0) + epsilon**0.5)
    return (_each(lambda part: share * part, x[0]),)


def _stereo_step(y: Channels, x: Channels, epsilon: float, frame_axis: int) -> Channels:
    """One iteration on two channels: y [source, bin, frame] each, mixture x [bin, frame]."""

    def over_frames(values):
        return values.sum(frame_axis, keepdims=True)

    y0, y1 = y
    power = _power(y0)
    v = (power + _power(y1)) / 2
    left = over_frames(power)
    weight = epsilon + over_frames(v)
    tilt = _each(lambda p: _quotient(over_frames(p), left), _times_conj(y1, y0))
    unexplained = _each(lambda a, b: a - b, y1, _times(tilt, y0))
    u0 = root(left / weight)  # real
    u1 = _each(lambda part: part * u0, tilt)
    w1 = root(over_frames(_power(unexplained)) / weight)
    return filter_stereo(v, (u0, u1, w1), x, epsilon**0.5)


def filter_stereo(
    v: Array,
    factors: tuple[Array, Pair, Array],
    x: Channels,
    regulariser: float = REGULARISER,
) -> Channels:
    """Divide a mixture x [bin, frame], two channels, among sources: [source, bin, frame] each.

    `v` [source, bin, frame] are variances, `factors` u0 (real), u1, w1 (real) of the spatial
    covariances, [source, bin, 1], as in the module's docstring: v_j R_j (sum_k v_k R_k + l I)^-1 x.
    """
    (u0, u1, w1), (x0, x1) = factors, x
    # [u_j, u_k], [u_j, w_k] = u0_j w1_k and [w_j, u_k] = -w1_j u0_k; [w, w] = 0
    cross = _each(lambda part: u0[:, None] * part - part[:, None] * u0, u1)
    mixed = _power(cross) + jnp.square(u0[:, None] * w1) + jnp.square(w1[:, None] * u0)
    trace = jnp.square(u0) + _power(u1) + jnp.square(w1)
    det = regulariser * (regulariser + _sum(v * trace))
    for j in range(len(v)):
        row = v[j] * jnp.square(u0[j] * w1[j])
        for k in range(j + 1, len(v)):
            row = row + v[k] * mixed[j, k]
        det = det + v[j] * row

    # What u_j and w_j are multiplied by, for all j at once; [x, w_k] = x0 w1_k.
    to_u = _each(lambda a, b: v * (a - b * u0), _times(u1, x0), x1)  # v_k [x, u_k]
    to_w = _sum(v * jnp.square(w1))  # sum_k v_k w1_k^2
    of_u = _each(lambda a, b: a * u0 + b, x0, _times_conj(x1, u1))  # u_j^H x
    of_u = _each(lambda a, b: regulariser * a + u0 * (to_w * b), of_u, x0)
    for k in range(len(v)):
        pair = _times_conj((to_u[0][k], to_u[1][k]), (cross[0][:, k], cross[1][:, k]))
        of_u = _each(jnp.add, of_u, pair)
    shared = _each(lambda part: _sum(u0 * part), to_u)
    of_w = _each(lambda a, b: jnp.square(w1) * (regulariser * a - b), x1, shared)
    share = v / det
    return (
        _each(lambda a: share * u0 * a, of_u),
        _each(lambda a, b: share * (a + b), _times(u1, of_u), of_w),
    )
