"""Convolutions of 3 by 3 taps in fewer multiplications, for CPUs.

Two by two results take 36 products of inputs and taps. They are also sums of 16 products, of sums
of 4 by 4 inputs and sums of the taps: Winograd's F(2 x 2, 3 x 3) of Lavin and Gray 2016, "Fast
Algorithms for Convolutional Neural Networks". Over all channels these are 16 matrix products; where
there are many channels, what is added before and after them costs little beside them. It rounds
like any float32 sum that is taken in another order.
"""

import math

import jax.numpy as jnp
from jax import Array, lax

TAPS = 3
CHANNELS, PLACES = 64, 512  # of both sides, and of the input: with fewer it is not faster
ROOM = 1 << 27  # bytes of sums that are in memory at once

Four = tuple[Array, Array, Array, Array]


def fits(x: Array, kernel: Array) -> bool:
    """Whether `correlate` is faster than a plain convolution of the same."""
    many = min(kernel.shape[2:]) >= CHANNELS and x.shape[1] * x.shape[2] >= PLACES
    return kernel.shape[:2] == (TAPS, TAPS) and many and x.shape[1] > TAPS


def correlate(x: Array, kernel: Array, pads: tuple[tuple[int, int], tuple[int, int]]) -> Array:
    """Convolve [batch, row, column, in], padded, with [3, 3, in, out]: strides are 1."""
    (batch, height, width, inputs), outputs = x.shape, kernel.shape[-1]
    (above, below), (left, right) = pads
    lengths = height + above + below - TAPS + 1, width + left + right - TAPS + 1
    tiles = [-(-length // 2) for length in lengths]
    needed = 16 * batch * math.prod(tiles) * (inputs + outputs) * x.dtype.itemsize
    # Strips of rows in a loop, for which XLA makes x as one array, as for a plain convolution; what
    # x is computed from, as GELU, would else be computed in parts that are all written to memory.
    strips = min(max(2, -(-needed // ROOM)), tiles[0])
    rows = 2 * -(-tiles[0] // strips)  # of the result, in each
    taken = min(rows + 2, height)
    below = max(0, rows * strips + 2 - above - height)
    right = 2 * tiles[1] + 2 - left - width

    def strip(number, y):
        taps = (_of_taps(*row) for row in kernel)
        matrices = [_of_taps(*column) for column in zip(*taps, strict=True)]  # [column][row]
        start = rows * number - above
        first = jnp.clip(start, 0, height - taken)
        part = lax.dynamic_slice_in_dim(x, first, taken, axis=1)
        part = jnp.pad(part, [(0, 0), (above, below), (0, 0), (0, 0)])
        part = lax.dynamic_slice_in_dim(part, start - first + above, rows + 2, axis=1)
        part = jnp.pad(part, [(0, 0), (0, 0), (left, right), (0, 0)])
        return lax.dynamic_update_slice_in_dim(y, _tiles(part, matrices), rows * number, axis=1)

    # Room that begins with a number of x: zeros would be written before there is an x, and those of
    # all convolutions of a network be in memory at once.
    room = jnp.broadcast_to(x[:1, :1, :1, :1], (batch, rows * strips, 2 * tiles[1], outputs))
    return lax.fori_loop(0, strips, strip, room)[:, : lengths[0], : lengths[1]]


def _tiles(x: Array, matrices: list[Four]) -> Array:
    """All results of [batch, row, column, in], of which 4 by 4 make 2 by 2."""
    batch, rows, columns, inputs = x.shape
    shape = batch, rows // 2 - 1, columns // 2 - 1
    pairs = x.reshape(batch, rows // 2, 2, columns // 2, 2, inputs)

    def place(row, column):
        """Of each tile, what stands there."""
        upper, left = row // 2, column // 2
        return pairs[:, upper : upper + shape[1], row % 2, left : left + shape[2], column % 2]

    sums = [_of_inputs(*(place(row, column) for column in range(4))) for row in range(4)]
    sums = [_of_inputs(*column) for column in zip(*sums, strict=True)]  # [column][row]
    products = [
        [_product(each, matrix) for each, matrix in zip(*pair, strict=True)]
        for pair in zip(sums, matrices, strict=True)
    ]
    halves = [_of_products(*column) for column in products]  # [column][row of the result]
    results = [_of_products(*row) for row in zip(*halves, strict=True)]  # [row][column]
    y = jnp.stack([jnp.stack(row, axis=3) for row in results], axis=2)
    return y.reshape(batch, 2 * shape[1], 2 * shape[2], -1)


def _product(x: Array, matrix: Array) -> Array:
    return (x.reshape(-1, x.shape[-1]) @ matrix).reshape(*x.shape[:-1], -1)


def _of_inputs(a: Array, b: Array, c: Array, d: Array) -> Four:
    return a - c, b + c, c - b, b - d


def _of_taps(a: Array, b: Array, c: Array) -> Four:
    return a, (a + b + c) / 2, (a - b + c) / 2, c


def _of_products(a: Array, b: Array, c: Array, d: Array) -> tuple[Array, Array]:
    return a + b + c, b - c - d
