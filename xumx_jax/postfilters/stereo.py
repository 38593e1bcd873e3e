"""Pairs of real arrays as complex numbers, and one iteration of the Wiener filter on two channels.

The formulas are those of the docstring of `wiener`; what of them is summed over frames is left to
the caller, who may have the frames all at once or one after another.
"""

import operator
from functools import reduce

import jax
import jax.numpy as jnp
from jax import Array

TINY = 1e-36  # keeps 0 / 0 at 0

Pair = tuple[Array, Array]  # real and imaginary part
Channels = tuple[Pair, ...]  # one pair for each of one or two
Factors = tuple[Array, Pair, Array]  # u0 (real), u1, w1 (real) of spatial covariances


def power_of(a: Pair) -> Array:
    return jnp.square(a[0]) + jnp.square(a[1])


def times(a: Pair, b: Pair) -> Pair:
    return a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]


def times_conj(a: Pair, b: Pair) -> Pair:
    """a conj(b)."""
    return a[0] * b[0] + a[1] * b[1], a[1] * b[0] - a[0] * b[1]


def each(function, *pairs: Pair) -> Pair:
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
def quotient(values: Array, energy: Array) -> Array:
    """Divide by an energy, which may be 0; its gradient never squares what may be very small."""
    return values / jnp.maximum(energy, TINY)


@quotient.defjvp
def _quotient_jvp(primals, tangents):
    (values, energy), (values_dot, energy_dot) = primals, tangents
    result, divisor = quotient(values, energy), jnp.maximum(energy, TINY)
    dot = (values_dot - result * energy_dot) / divisor
    return result, jnp.where(energy > TINY, dot, 0)


def products(y: Channels) -> tuple[Array, Array, Pair]:
    """What is summed over frames first: power of the left channel, variance, right conj(left)."""
    y0, y1 = y
    power = power_of(y0)
    return power, (power + power_of(y1)) / 2, times_conj(y1, y0)


def tilt_of(left: Array, shared: Pair) -> Pair:
    """How much of the left channel is in the right one, from sums over frames."""
    return each(lambda p: quotient(p, left), shared)


def unexplained(y: Channels, tilt: Pair) -> Array:
    """What is summed next: the power that the left channel does not explain of the right one's."""
    y0, y1 = y
    return power_of(each(lambda a, b: a - b, y1, times(tilt, y0)))


def factors_of(left: Array, variance: Array, tilt: Pair, rest: Array, epsilon) -> Factors:
    """Those of spatial covariances, from sums over frames."""
    weight = epsilon + variance
    u0 = root(left / weight)
    return u0, each(lambda part: part * u0, tilt), root(rest / weight)


def filter_stereo(
    v: Array,
    factors: Factors,
    x: Channels,
    regulariser: float | Array,
) -> Channels:
    """Divide a mixture x [bin, frame], two channels, among sources: [source, bin, frame] each.

    `v` [source, bin, frame] are variances, `factors` u0 (real), u1, w1 (real) of the spatial
    covariances, [source, bin, 1], as in the module's docstring: v_j R_j (sum_k v_k R_k + l I)^-1 x.
    """
    (u0, u1, w1), (x0, x1) = factors, x
    # [u_j, u_k], [u_j, w_k] = u0_j w1_k and [w_j, u_k] = -w1_j u0_k; [w, w] = 0
    cross = each(lambda part: u0[:, None] * part - part[:, None] * u0, u1)
    mixed = power_of(cross) + jnp.square(u0[:, None] * w1) + jnp.square(w1[:, None] * u0)
    trace = jnp.square(u0) + power_of(u1) + jnp.square(w1)
    det = regulariser * (regulariser + _sum(v * trace))
    for j in range(len(v)):
        row = v[j] * jnp.square(u0[j] * w1[j])
        for k in range(j + 1, len(v)):
            row = row + v[k] * mixed[j, k]
        det = det + v[j] * row

    # What u_j and w_j are multiplied by, for all j at once; [x, w_k] = x0 w1_k.
    to_u = each(lambda a, b: v * (a - b * u0), times(u1, x0), x1)  # v_k [x, u_k]
    to_w = _sum(v * jnp.square(w1))  # sum_k v_k w1_k^2
    of_u = each(lambda a, b: a * u0 + b, x0, times_conj(x1, u1))  # u_j^H x
    of_u = each(lambda a, b: regulariser * a + u0 * (to_w * b), of_u, x0)
    for k in range(len(v)):
        pair = times_conj((to_u[0][k], to_u[1][k]), (cross[0][:, k], cross[1][:, k]))
        of_u = each(jnp.add, of_u, pair)
    shared = each(lambda part: _sum(u0 * part), to_u)
    of_w = each(lambda a, b: jnp.square(w1) * (regulariser * a - b), x1, shared)
    share = v / det
    return (
        each(lambda a: share * u0 * a, of_u),
        each(lambda a, b: share * (a + b), times(u1, of_u), of_w),
    )
