"""Memory for batches that is reused once nothing refers to it.

The kernel clears fresh memory page by page, which takes longer than reading a batch into it.
"""

import ctypes
import math
import weakref
from collections import deque

import numpy as np

ALIGNMENT = 64  # bytes; JAX and TensorFlow copy arrays that are aligned otherwise


class Recycler:
    """Hands out arrays, and reuses their memory once the last reference to one is gone.

    The arrays are aligned so that JAX can use them without copying. Blocks of one size are kept, as
    many as were ever in use at once; a request for another size drops them.
    """

    def __init__(self):
        self._size, self._free = 0, deque()

    def empty(self, shape, dtype) -> np.ndarray:
        """Return an array with arbitrary contents. Safe to call from many threads."""
        size = max(1, math.prod(shape) * np.dtype(dtype).itemsize)
        if size != self._size:
            self._size, self._free = size, deque()
        free = self._free
        try:
            block = free.pop()
            if len(block) < size + ALIGNMENT:  # another thread has just changed the size
                block = _block(size)
        except IndexError:
            block = _block(size)
        # Every view of the array keeps this lease alive, whoever holds it.
        lease = (ctypes.c_ubyte * size).from_buffer(block, -block.ctypes.data % ALIGNMENT)
        weakref.finalize(lease, free.append, block).atexit = False
        return np.frombuffer(lease, dtype, math.prod(shape)).reshape(shape)


def _block(size) -> np.ndarray:
    return np.empty(size + ALIGNMENT, np.uint8)  # large ones in huge pages, where there are any
