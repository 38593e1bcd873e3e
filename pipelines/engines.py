"""Make batches in the background, in order: with tf.data, or a pool of Python threads.

An engine is a context manager `engine(make, count, workers, prefetch)` that yields an iterator
over make(0, stop), make(1, stop), ... up to `count`, or endlessly. `make` checks the event `stop`
now and then and, once that is set, may return anything. Its exceptions are raised where its batch
would have come. Leaving the context waits for all batches in progress: as long as `make` takes to
notice `stop`.
"""

import collections
import itertools
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from xumx_jax.training.batches import Examples

Make = Callable[[int, threading.Event], Examples]


@contextmanager
def threads(make: Make, count: int | None, workers: int, prefetch: int):
    """Besides the batch in use, at most `prefetch` + `workers` - 1 are held or in progress."""
    stop = threading.Event()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="loader")

    def batches() -> Iterator[Examples]:
        waiting = collections.deque()
        numbers = itertools.count() if count is None else iter(range(count))
        while True:
            free = workers + max(1, prefetch) - len(waiting)
            for number in itertools.islice(numbers, free):
                waiting.append(pool.submit(make, number, stop))
            if not waiting:
                return
            yield waiting.popleft().result()

    try:
        yield batches()
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def tf_data(make: Make, count: int | None, workers: int, prefetch: int):
    """Range -> map, a whole batch per call -> prefetch.

    Only numbers pass through TensorFlow. It can hold arrays without copying them, but releases them
    late, and reusing memory costs a third less.
    """
    tf = _tensorflow()
    stop, made, failed = threading.Event(), {}, {}

    def call(number):
        try:
            if not stop.is_set():
                made[int(number)] = make(int(number), stop)
        except BaseException as error:
            failed[int(number)] = error  # TensorFlow would pass on its text alone
            raise
        return number

    options = tf.data.Options()
    options.deterministic = True
    options.autotune.enabled = False
    options.threading.private_threadpool_size = workers + 1  # and one to fetch
    dataset = (
        tf.data.Dataset.range(sys.maxsize if count is None else count)
        .take_while(lambda n: tf.numpy_function(lambda _: not stop.is_set(), [n], tf.bool))
        .map(lambda n: tf.numpy_function(call, [n], tf.int64), num_parallel_calls=workers)
        .prefetch(max(1, prefetch))
    )
    numbers = dataset.with_options(options).as_numpy_iterator()

    def batches() -> Iterator[Examples]:
        for number in itertools.count():
            try:
                done = next(numbers)
            except StopIteration:
                return
            except tf.errors.OpError:
                raise failed.get(number) or RuntimeError("TensorFlow failed") from None
            yield made.pop(int(done))

    try:
        yield batches()
    finally:
        stop.set()
        # A call that is under way when the iterator dies waits for the interpreter's lock, and the
        # iterator, holding the lock, for the call: both forever. So nothing may be under way.
        while True:
            try:
                next(numbers)
            except StopIteration:
                break
            except tf.errors.OpError:
                continue
        # TensorFlow keeps `call` until garbage is collected, and with it what it refers to.
        make = None
        made.clear()


ENGINES = {"tf": tf_data, "threads": threads}


def _tensorflow():
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")  # they are JAX's
    return tf
