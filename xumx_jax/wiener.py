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
"""

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

EPSILON = float(np.finfo(np.float64).eps)  # the original runs in double precision
REGULARISER = EPSILON**0.5
SCALE = 10.0  # the largest magnitude of a scaled mixture
TINY = 1e-36  # keeps 0 / 0 at 0


def wiener(
    magnitudes: Array,
    mix: Array,
    iterations: int = 1,
    softmask: bool = False,
    alpha: float = 1.0,
    residual: bool = False,
    frame_axis: int = -1,
) -> Array:
    """Filter magnitudes [source, channel, bin, frame] and mixture [channel, bin, frame] to spectra.

    Returns complex64 [source, channel, bin, frame], with `residual` one source more: what the
    magnitudes leave of the mixture's. The first estimate is the magnitudes with the mixture's phase
    or, with `softmask`, the mixture divided in proportion to magnitudes ** `alpha` (`alpha` acts
    with `softmask` alone). `iterations` of EM follow; its statistics and its scaling are those of
    all frames given. `frame_axis` -2 stands for spectra laid out [..., frame, bin]. Raises
    ValueError on EM with more than two channels.
    """
    magnitudes = jnp.broadcast_to(magnitudes, (magnitudes.shape[0], *mix.shape))
    if not softmask:
        alpha = 1.0
    if alpha != 1.0:
        magnitudes = magnitudes**alpha
    if residual:
        magnitudes = with_residual(magnitudes, jnp.abs(mix) ** alpha, frame_axis)
    if softmask:
        spec = mix * (magnitudes / (EPSILON + magnitudes.sum(0)))
    else:
        size = jnp.abs(mix)
        # an empty bin has phase 0
        spec = magnitudes * jnp.where(size > 0, mix / jnp.where(size > 0, size, 1), 1)
    if iterations == 0:
        return spec
    if mix.shape[0] > 2:
        raise ValueError(f"wiener: the mixture has {mix.shape[0]} channels; EM takes one or two")
    gain = jnp.maximum(1.0, jnp.abs(mix).max() / SCALE)
    step = _stereo_step if mix.shape[0] == 2 else _mono_step
    mix, spec = mix / gain, spec / gain
    spec = lax.fori_loop(0, iterations, lambda _, spec: step(spec, mix, frame_axis), spec)
    return spec * gain


def with_residual(magnitudes: Array, mix: Array, frame_axis: int = -1) -> Array:
    """Append to magnitudes [source, channel, bin, frame] what they leave of the mixture's.

    Each bin and channel of the given sources is scaled to fit the mixture over time in the
    least-squares sense. What is appended is the rest before that scaling, where it is positive: the
    order of the original, kept although the two do not add up to the mixture.
    """
    target = jnp.maximum(EPSILON, mix)
    total = magnitudes.sum(0)
    fit = (target * total).sum(frame_axis, keepdims=True)
    fit = fit / (EPSILON + jnp.square(total).sum(frame_axis, keepdims=True))
    rest = jnp.maximum(0.0, target - total)
    return jnp.concatenate([magnitudes * fit, rest[None]])


def _power(x: Array) -> Array:
    return jnp.square(x.real) + jnp.square(x.imag)


def _mono_step(spec: Array, mix: Array, frame_axis: int) -> Array:
    """One iteration on one channel: spec [source, 1, bin, frame], mixture [1, bin, frame]."""
    v = _power(spec)
    total = v.sum(frame_axis, keepdims=True)
    modelled = v * (total / (EPSILON + total))
    return mix * (modelled / (modelled.sum(0) + REGULARISER + EPSILON))


def _stereo_step(spec: Array, mix: Array, frame_axis: int) -> Array:
    """One iteration on two channels: spec [source, 2, bin, frame], mixture [2, bin, frame].

    Names as in the module's docstring; v [source, bin, frame], all others have one frame.
    """
    y0, y1 = spec[:, 0], spec[:, 1]
    power = _power(y0)
    v = (power + _power(y1)) / 2
    left = power.sum(frame_axis, keepdims=True)
    weight = EPSILON + v.sum(frame_axis, keepdims=True)
    tilt = (y1 * y0.conj()).sum(frame_axis, keepdims=True) / jnp.maximum(left, TINY)
    u0 = jnp.sqrt(left / weight)
    u1 = tilt * u0
    w1 = jnp.sqrt(_power(y1 - tilt * y0).sum(frame_axis, keepdims=True) / weight)

    sources = range(len(v))
    # [u_j, u_k], [u_j, w_k] = u0_j w1_k and [w_j, u_k] = -w1_j u0_k; [w, w] = 0
    cross = u0[:, None] * u1[None] - u1[:, None] * u0[None]
    mixed = _power(cross) + jnp.square(u0[:, None] * w1[None]) + jnp.square(w1[:, None] * u0[None])
    trace = jnp.square(u0) + _power(u1) + jnp.square(w1)
    det = REGULARISER * (REGULARISER + (v * trace).sum(0))
    for j in sources:
        det = det + jnp.square(v[j] * u0[j] * w1[j])
        for k in range(j + 1, len(v)):
            det = det + v[j] * v[k] * mixed[j, k]

    # Row 0 and row 1 of R_j adj(...), each against x0 and x1, for all j at once.
    #   a = u_j: u conj([u_j, u_k]) [x, u_k] + u conj([u_j, w_k]) [x, w_k]
    #   a = w_j: w conj([w_j, u_k]) [x, u_k]
    g00 = REGULARISER * jnp.square(u0) + 0j
    g01 = REGULARISER * u0 * u1.conj()
    g10 = g01.conj()
    g11 = REGULARISER * (_power(u1) + jnp.square(w1)) + 0j
    for k in sources:
        uu, uw, wu = cross[:, k].conj(), u0 * w1[k], -w1 * u0[k]
        g00 = g00 + v[k] * (u0 * (uu * u1[k] + uw * w1[k]))
        g01 = g01 - v[k] * (u0 * uu * u0[k])
        g10 = g10 + v[k] * (u1 * (uu * u1[k] + uw * w1[k]) + w1 * wu * u1[k])
        g11 = g11 - v[k] * (u1 * uu * u0[k] + w1 * wu * u0[k])
    share = v / det
    x0, x1 = mix
    return jnp.stack([share * (g00 * x0 + g01 * x1), share * (g10 * x0 + g11 * x1)], axis=1)
