"""Host threads that feed a device."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from xumx_jax.runtime import cores, fft_may_deadlock

MOST = 4


def ahead(pool, function, items, most):
    """Like `pool.map`, but computes only a limited number of results in advance."""
    waiting = deque()
    for item in items:
        if len(waiting) == most:
            yield waiting.popleft().result()
        waiting.append(pool.submit(function, item))
    while waiting:
        yield waiting.popleft().result()


@contextmanager
def threads(count):
    """A pool of threads that drops what it has not begun if the caller is interrupted."""
    pool = ThreadPoolExecutor(count)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def host_threads(platform: str) -> int:
    """How many threads feed a device: several on a CPU if that is safe, otherwise one."""
    if platform != "cpu" or fft_may_deadlock():
        return 1
    return max(1, min(MOST, cores()))
