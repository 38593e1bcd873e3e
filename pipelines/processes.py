"""Other processes that do a share of the work, and end with the one that began them."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager


@contextmanager
def pool(count: int, begin=None) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of processes, each begun with `begin()`, by default `follow_parent`.

    What has not begun when the context ends is cancelled. A fork would be unsafe once JAX runs.
    """
    spawn = multiprocessing.get_context("spawn")
    made = ProcessPoolExecutor(count, spawn, begin or follow_parent)
    try:
        yield made
    finally:
        made.shutdown(cancel_futures=True)


def follow_parent() -> None:
    """Ignore interrupts, which the parent handles, and end with it even if it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def wait():
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
