"""Solve block Toeplitz systems: the least-squares filters between multichannel signals.

A filter of `lag` taps from p channels to q meets sum_l T[k - l] x[l] = right[k], where T[k] [p, p]
are the inputs' correlations and T[-k] = T[k]^T. Dense factorisation takes (lag p)^3 operations; the
block Levinson recursion takes lag^2 p^3, holds no matrix, and leaves behind what the inverse is
made of.

P. Whittle, "On the fitting of multivariate autoregressions", Biometrika 1963; R. Wiggins and
E. Robinson, "Recursive solution to the multichannel filtering problem", J. Geophys. Res. 1965;
I. Gohberg and G. Heinig, "Inversion of finite Toeplitz matrices with matrix elements", 1974.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

REFINEMENTS = 2
POWER_STEPS = 6


class Solution(NamedTuple):
    """`taps` [lag, p, q] solve the system; the rest says how far to trust them.

    residual   the largest remaining difference between both sides, relative to the right side
    smallest   estimate of the smallest eigenvalue of the matrix, raised by the ridge
    """

    taps: Array
    residual: Array
    smallest: Array


@jax.jit
def solve(blocks: Array, right: Array, ridge: float) -> Solution:
    """Solve for blocks [lag, p, p] = T[0], T[1], ... and right [lag, p, q].

    The recursion is run with `ridge` added to the diagonal, which keeps it stable where the matrix
    is close to singular; steps of iterative refinement with its inverse then take the ridge's
    effect back, except in directions whose eigenvalues are not far above it.
    """
    lifted = blocks.at[0].add(ridge * jnp.eye(blocks.shape[1], dtype=blocks.dtype))
    taps, inverse = _levinson(lifted, right)
    spectrum = _symmetric_spectrum(blocks)

    def missing(taps):
        return right - _filter(spectrum, taps)

    for _ in range(REFINEMENTS):
        taps = taps + inverse(missing(taps))
    residual = jnp.abs(missing(taps)).max() / jnp.maximum(jnp.abs(right).max(), _tiny(right))
    return Solution(taps, residual, _smallest(inverse, right[..., :1]))


def _levinson(blocks, right):
    """The recursion over orders -> taps, and the function that applies the inverse.

    Forward predictors: T [I; A1; ..; Am] = [P; 0; ..; 0]; backward ones: T [Bm; ..; B1; I] =
    [0; ..; 0; Q]. Every order combines both so that one more row of zeros appears. All are stored
    transposed, [column, lag * p], so that the long axis is contiguous in memory.
    """
    lag, p = right.shape[:2]
    # row m is T[m], T[m - 1], .., T[0], 0, ..: what the next row of the matrix meets
    rows = blocks[::-1].transpose(1, 0, 2).reshape(p, lag * p)
    rows = jnp.concatenate([rows, jnp.zeros_like(rows)], axis=1)

    def step(carry, order):
        forward, backward, p_forward, p_backward, taps = carry
        row = lax.dynamic_slice_in_dim(rows, (lag - 1 - order) * p, lag * p, axis=1)
        backward = jnp.roll(backward, p, axis=1).at[:, :p].set(0)
        wrong, got = jnp.split(row @ jnp.concatenate([forward, taps]).T, [p], axis=1)
        to_forward = jnp.linalg.solve(p_backward, wrong)
        to_backward = jnp.linalg.solve(p_forward, wrong.T)
        forward, backward = forward - to_forward.T @ backward, backward - to_backward.T @ forward
        p_forward = _even(p_forward - wrong.T @ to_forward)
        p_backward = _even(p_backward - wrong @ to_backward)
        taps = taps + jnp.linalg.solve(p_backward, right[order] - got).T @ backward
        return (forward, backward, p_forward, p_backward, taps), None

    def first(matrix):
        return jnp.zeros((matrix.shape[1], lag * p), matrix.dtype).at[:, :p].set(matrix.T)

    one = first(jnp.eye(p, dtype=blocks.dtype))
    start = (one, one, blocks[0], blocks[0], first(jnp.linalg.solve(blocks[0], right[0])))
    found, _ = lax.scan(step, start, jnp.arange(1, lag))
    forward, backward, p_forward, p_backward, taps = found

    def long(rows):
        return rows.reshape(rows.shape[0], lag, p).transpose(1, 2, 0)

    forward = _spectrum(long(forward))
    backward = _spectrum(long(jnp.roll(backward, p, axis=1).at[:, :p].set(0)))
    scaled_forward = forward @ jnp.linalg.inv(p_forward)
    scaled_backward = backward @ jnp.linalg.inv(p_backward)

    def inverse(x):
        # T^-1 = F P^-1 F^T - B Q^-1 B^T, with lower triangular Toeplitz matrices F and B
        plus = _filter(scaled_forward, _correlate(forward, x))
        return plus - _filter(scaled_backward, _correlate(backward, x))

    return long(taps), inverse


def _smallest(inverse, like):
    """Estimate the smallest eigenvalue by power iteration with the inverse."""
    start = jax.random.normal(jax.random.key(0), like.shape, like.dtype)

    def step(_, carry):
        vector, _ = carry
        grown = inverse(vector)
        size = jnp.linalg.norm(grown)
        return grown / size, size

    start = start / jnp.linalg.norm(start)
    return 1 / lax.fori_loop(0, POWER_STEPS, step, (start, jnp.ones((), like.dtype)))[1]


def _even(matrix):
    return (matrix + matrix.T) / 2


def _tiny(like):
    return jnp.finfo(like.dtype).tiny


def _spectrum(taps):
    """Taps [lag, a, b], zero-padded so that nothing wraps -> [frequency, a, b]."""
    return jnp.fft.rfft(taps, 2 * taps.shape[0], axis=0)


def _symmetric_spectrum(blocks):
    """Blocks for lags 0, 1, .. with their transposes for -1, -2, .. -> [frequency, p, p]."""
    negative = jnp.zeros_like(blocks).at[1:].set(blocks[:0:-1].transpose(0, 2, 1))
    return jnp.fft.rfft(jnp.concatenate([blocks, negative]), axis=0)


def _filter(spectrum, x):
    """Apply a Toeplitz matrix, given as spectrum, to x [lag, p, q]."""
    lag = x.shape[0]
    return jnp.fft.irfft(spectrum @ jnp.fft.rfft(x, 2 * lag, axis=0), 2 * lag, axis=0)[:lag]


def _correlate(spectrum, x):
    """Apply the transpose of a Toeplitz matrix."""
    return _filter(spectrum.conj().transpose(0, 2, 1), x)
