"""Arrays as XLA wants them in memory, so that a CPU uses them as they are instead of a copy."""

import numpy as np

BYTES = 64  # of which the addresses of XLA's buffers are multiples


def is_aligned(array: np.ndarray) -> bool:
    """Whether XLA takes an array as it is."""
    return not array.size or (array.ctypes.data % BYTES == 0 and array.flags.c_contiguous)


def align(tree: dict) -> None:
    """Replace the arrays of nested dictionaries by aligned ones of the same values.

    In place, one after the other: of large networks there is no room for all arrays twice.
    """
    for name, leaf in tree.items():
        if isinstance(leaf, dict):
            align(leaf)
        elif isinstance(leaf, np.ndarray) and not is_aligned(leaf):
            tree[name] = _aligned(leaf)


def _aligned(array: np.ndarray) -> np.ndarray:
    room = np.empty(array.nbytes + BYTES, np.uint8)
    start = -room.ctypes.data % BYTES
    copy = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy
