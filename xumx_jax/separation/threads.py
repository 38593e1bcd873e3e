"""Host threads that feed a device."""

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version

MOST = 4
# Since this jaxlib an FFT on a CPU that a thread of XLA's pool runs waits for threads of that pool:
# as many FFTs at once as it has threads wait for ever. openxla/xla pull request 46347 brought it.
LOCKING, ONE_POOL_THREAD = (0, 11), "--xla_cpu_multi_thread_eigen=false"


def fft_may_lock() -> bool:
    """Whether FFTs on a CPU, several at once, may lock this process up."""
    found = tuple(int(part) for part in version("jaxlib").split(".")[:2])
    return found >= LOCKING and ONE_POOL_THREAD not in os.environ.get("XLA_FLAGS", "")


def let_no_fft_lock() -> None:
    """Tell XLA to do without its pool where FFTs may lock it; before JAX has started anything.

    For programs: it is a setting of the whole process. Host threads make up for it.
    """
    if fft_may_lock():
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {ONE_POOL_THREAD}".strip()


def ahead(pool, function, items, most):
    """As `pool.map`, but with at most so many results made before they are taken."""
    waiting = deque()
    for item in items:
        if len(waiting) == most:
            yield waiting.popleft().result()
        waiting.append(pool.submit(function, item))
    while waiting:
        yield waiting.popleft().result()


@contextmanager
def threads(count):
    """Threads that drop what they have not begun when the caller is interrupted."""
    pool = ThreadPoolExecutor(count)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def host_threads(platform: str) -> int:
    """How many threads feed a device: some on a CPU where that is safe, one elsewhere."""
    if platform != "cpu" or fft_may_lock():
        return 1
    return max(1, min(MOST, cores()))


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
