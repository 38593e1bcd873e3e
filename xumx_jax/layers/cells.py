"""Convolutions whose kernel is as large as their stride, of [batch, row, column, channel].

Every cell of rows and columns is one item of a matrix product.
"""

from jax import Array

from xumx_jax.layers.dense import product


def down(x: Array, kernel: Array, stride: tuple[int, int]) -> Array:
    """Make one of each cell, by a kernel [row * column * input, output]."""
    (rows, columns), (batch, height, width, channels) = stride, x.shape
    cells = x.reshape(batch, height // rows, rows, width // columns, columns, channels)
    cells = cells.swapaxes(2, 3).reshape(-1, rows * columns * channels)
    return product(cells, kernel).reshape(batch, height // rows, width // columns, -1)


def up(x: Array, kernel: Array, stride: tuple[int, int]) -> Array:
    """Make a cell of each, by a kernel [input, row * column * output]."""
    (rows, columns), (batch, height, width, channels) = stride, x.shape
    cells = product(x.reshape(-1, channels), kernel)
    cells = cells.reshape(batch, height, width, rows, columns, -1).swapaxes(2, 3)
    return cells.reshape(batch, height * rows, width * columns, -1)
