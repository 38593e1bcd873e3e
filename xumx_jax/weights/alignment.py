"""Arrays as XLA wants them in memory, so that a CPU uses them as they are instead of a copy."""

from collections.abc import Iterator

import numpy as np

from xumx_jax.runtime import give_memory_back

BYTES = 64  # of which the addresses of XLA's buffers are multiples
PIECE = 1 << 27  # bytes after which memory is given back


def is_aligned(array: np.ndarray) -> bool:
    """Whether XLA takes an array as it is."""
    return not array.size or (array.ctypes.data % BYTES == 0 and array.flags.c_contiguous)


def align(tree: dict) -> None:
    """Replace the arrays of nested dictionaries by aligned ones of the same values.

    In place, one after the other, and what they leave is given back in between, with what reading
    them has left: of large networks there is no room for all arrays twice.
    """
    left = PIECE
    for place, name in list(_places(tree)):
        array = place[name]
        if is_aligned(array):
            continue
        if left >= PIECE:
            give_memory_back()
            left = 0
        left += array.nbytes
        place[name] = _aligned(array)
    give_memory_back()


def _places(tree: dict) -> Iterator[tuple[dict, str]]:
    for name, leaf in tree.items():
        if isinstance(leaf, dict):
            yield from _places(leaf)
        elif isinstance(leaf, np.ndarray):
            yield tree, name


def _aligned(array: np.ndarray) -> np.ndarray:
    room = np.empty(array.nbytes + BYTES, np.uint8)
    start = -room.ctypes.data % BYTES
    copy = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy
