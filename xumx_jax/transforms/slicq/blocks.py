"""Blocks of a sliCQ's coefficients, and all coefficients in one array.

A block of bands of equal size is [..., band, slice, coefficient]. The flat array [..., slice,
coefficient] has the bands of a slice one behind the other. What is made of blocks that came from a
flat array costs nothing to join again: the compiler removes both. So whatever treats all
coefficients alike works on the flat array, as one loop instead of seventy.
"""

from collections.abc import Sequence
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

Shapes = tuple[tuple[int, int], ...]  # how many bands each block has, and of which size


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def split(shapes: Shapes, values: Array) -> tuple[Array, ...]:
    """[..., slice, coefficient] -> blocks [..., band, slice, coefficient].

    Its gradient is `joined`; derived, it would be a sum of as many padded arrays as blocks.
    """
    blocks, start = [], 0
    for bands, size in shapes:
        part = values[..., start : start + bands * size]
        blocks.append(jnp.moveaxis(part.reshape(*part.shape[:-1], bands, size), -3, -2))
        start += bands * size
    return tuple(blocks)


def _split_forward(shapes: Shapes, values: Array):
    return split(shapes, values), None


def _split_backward(shapes: Shapes, _, cotangents: tuple[Array, ...]):
    return (joined(cotangents),)


split.defvjp(_split_forward, _split_backward)


def joined(blocks: Sequence[Array]) -> Array:
    """Blocks [..., band, slice, coefficient] -> [..., slice, coefficient].

    Its gradient is `split` of one array. Without the barrier the compiler makes each block's part
    of a gradient that is the same for all sources by itself, and cannot join them again.
    """
    return _joined(shapes_of(blocks), tuple(blocks))


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _joined(shapes: Shapes, blocks: tuple[Array, ...]) -> Array:
    parts = [jnp.moveaxis(block, -3, -2) for block in blocks]
    return jnp.concatenate([x.reshape(*x.shape[:-2], -1) for x in parts], axis=-1)


def _joined_forward(shapes: Shapes, blocks: tuple[Array, ...]):
    return _joined(shapes, blocks), None


def _joined_backward(shapes: Shapes, _, cotangent: Array):
    return (split(shapes, lax.optimization_barrier(cotangent)),)


_joined.defvjp(_joined_forward, _joined_backward)


def shapes_of(blocks: Sequence[Array]) -> Shapes:
    """What `split` needs to make blocks like these."""
    return tuple((block.shape[-3], block.shape[-1]) for block in blocks)


def overlapped(shapes: Shapes, values: Array) -> Array:
    """Add slices where they overlap, [..., slice, coefficient] -> [..., slice + 1, frame].

    Neighbouring slices share half their time. A band with M coefficients in a slice then has M / 2
    frames for each half; the frames of all bands lie one behind the other.
    """
    early, late = halves(shapes)
    plain = [(0, 0)] * (values.ndim - 2)
    early = jnp.pad(values[..., early], [*plain, (0, 1), (0, 0)])
    return early + jnp.pad(values[..., late], [*plain, (1, 0), (0, 0)])


@lru_cache
def halves(shapes: Shapes) -> tuple[np.ndarray, np.ndarray]:
    """Which coefficients are in the first and in the second half of a slice."""
    sizes = np.repeat(*np.array(shapes, np.int32).T[::-1])
    first = np.cumsum(sizes) - sizes
    early = [np.arange(a, a + m // 2, dtype=np.int32) for a, m in zip(first, sizes, strict=True)]
    late = [np.arange(a + m // 2, a + m, dtype=np.int32) for a, m in zip(first, sizes, strict=True)]
    return np.concatenate(early), np.concatenate(late)
