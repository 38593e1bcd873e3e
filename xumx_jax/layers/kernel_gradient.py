"""The gradient of a convolution's kernel, as few large products."""

import math
from functools import partial

import jax.numpy as jnp
from jax import Array, lax

LAID_OUT = 1 << 25  # numbers, from which on there are strips
STRIP = 1 << 18  # numbers of the input, laid out for every tap, in a strip
DEEP = 1024  # results in a strip, at least: each adds as many numbers as the kernel has


def kernel_gradient(plan, x: Array, dy: Array, taps: tuple[int, int]) -> Array:
    """The gradient [row, column, in, out] of a kernel of stride 1: a product for all taps at once.

    For that the input is laid out once for every tap. If that is much, a CPU does it in strips, of
    rows or of columns if there is but one row, which it then holds at hand.
    """
    steps, places = plan[0][1:], plan[1][1:]  # padding and dilation, of rows and columns
    _, rows, columns, _ = dy.shape
    per_column = math.prod(taps) * x.shape[-1]
    axis, length, across = (2, columns, 1) if rows == 1 else (1, rows, columns)
    size = max(STRIP // (across * per_column), -(-DEEP // across))
    windows = partial(_windows, steps, places, taps)

    def whole(x, dy):
        return product_over_rows(windows(x, dy.shape, (0, 0)), dy)

    def in_strips(x, dy):
        def add(number, total):
            start = jnp.minimum(number * size, length - size)  # the last one overlaps
            part = lax.dynamic_slice_in_dim(dy, start, size, axis)
            fresh = start + jnp.arange(size) >= number * size
            part = jnp.where(jnp.expand_dims(fresh, tuple(range(1, 4 - axis))), part, 0)
            first = (start, 0) if axis == 1 else (0, start)
            return total + product_over_rows(windows(x, part.shape, first), part)

        zero = jnp.zeros_like(dy[0, 0, 0, 0]) * jnp.zeros_like(x[0, 0, 0, 0])
        zero = jnp.broadcast_to(zero, (per_column, dy.shape[-1]))
        zero = zero.astype(jnp.promote_types(x.dtype, jnp.float32))
        return lax.fori_loop(0, -(-length // size), add, zero)

    if math.prod(taps) == 1 or length < 2 * size or dy.size // dy.shape[-1] * per_column < LAID_OUT:
        kernel = whole(x, dy)
    else:
        kernel = lax.platform_dependent(x, dy, cpu=in_strips, default=whole)
    return kernel.reshape(*taps, x.shape[-1], dy.shape[-1])


def _windows(rows, columns, taps, x: Array, shape, first) -> Array:
    """What each tap reads for results of this shape from `first` on, [..., tap * in]."""
    needed = [
        count + (tap - 1) * dilation
        for count, tap, (_, dilation) in zip(shape[1:3], taps, (rows, columns), strict=True)
    ]
    for axis, start, count, (pads, _) in zip((1, 2), first, needed, (rows, columns), strict=True):
        x = _between(x, start - pads[0], count, axis)
    return jnp.concatenate(
        [
            lax.dynamic_slice(
                x, (0, row * rows[1], column * columns[1], 0), (*shape[:3], x.shape[-1])
            )
            for row in range(taps[0])
            for column in range(taps[1])
        ],
        axis=-1,
    )


def _between(x: Array, start, count: int, axis: int) -> Array:
    """So many from `start` on along an axis, with zeros where there are none."""
    length = x.shape[axis]
    taken = min(count, length)
    if isinstance(start, int):
        ends = max(0, -start), max(0, start + count - length)
        x = lax.slice_in_dim(x, max(0, start), max(0, min(length, start + count)), axis=axis)
    else:
        first = jnp.clip(start, 0, length - taken)
        x, ends = lax.dynamic_slice_in_dim(x, first, taken, axis), (count, count)
    x = jnp.pad(x, [ends if each == axis else (0, 0) for each in range(x.ndim)])
    if isinstance(start, int):
        return x
    return lax.dynamic_slice_in_dim(x, start - first + count, count, axis)


def product_over_rows(x: Array, dy: Array) -> Array:
    """[..., in] and [..., out] -> [in, out], summed over all other axes."""
    return lax.dot_general(
        x.reshape(-1, x.shape[-1]),
        dy.reshape(-1, dy.shape[-1]),
        (((0,), (0,)), ((), ())),
        preferred_element_type=jnp.promote_types(x.dtype, jnp.float32),
    )
