"""A track on its way to the Separator, block by block, and again beside what comes of it."""

import queue
import threading
import time
from contextlib import contextmanager

import numpy as np

from xumx_jax import audio
from xumx_jax.audio.resample import resampled_length
from xumx_jax.commands.batch import thread_warnings
from xumx_jax.errors import UserError
from xumx_jax.separation.inputs import finite
from xumx_jax.separation.stream_buffer import SampleQueue

_AHEAD = 4  # blocks


class Mixture:
    """What is separated of an open file: finite, the wanted channels, at the wanted rate.

    blocks   an `audio.Blocks`; `source`, if given, has its blocks instead of it
    wide     all channels; else of more than two the front pair
    rate     hertz to resample to; None: the file's
    strict   samples that are not finite are an error, else they are taken as 0

    Iterate over it once for [channel, time]; `take` then gives the same samples again. `read` and
    `bad` are samples of the file so far, `given` those that were yielded, and `length` is how many
    that will be, None where the file does not say.
    """

    def __init__(self, label, blocks, source=None, wide=False, rate=None, strict=False):
        self.channels = blocks.channels if wide else min(2, blocks.channels)
        self.rate = rate or blocks.rate
        self.length = blocks.frames
        if self.length is not None:
            self.length = resampled_length(self.length, blocks.rate, self.rate)
        self.read = self.bad = self.given = 0
        self._label, self._strict = label, strict
        self._source = blocks if source is None else source
        self._resampler = audio.StreamResampler(blocks.rate, self.rate, self.channels)
        self._held = SampleQueue()

    def __iter__(self):
        for block in self._source:
            self.read += block.shape[1]
            block, bad = finite(block)
            self.bad += bad
            if self._strict and self.bad:
                continue  # all are counted
            yield from self._pass(self._resampler.push(block[: self.channels]))
        if self._strict and self.bad:
            raise UserError(
                f"{self._label}: {self.bad} samples are NaN or infinite; wanted finite ones, or no "
                "--strict"
            )
        yield from self._pass(self._resampler.finish())

    def _pass(self, block):
        if block.shape[1]:
            self.given += block.shape[1]
            self._held.put(block)
            yield block

    def take(self, samples) -> np.ndarray:
        """The next [channel, samples] of what was yielded, each once."""
        return self._held.take(samples) if samples else np.zeros((self.channels, 0), np.float32)


class Ahead:
    """Iterate over `blocks` in a thread of its own, a few of them ahead; `seconds` counts its work.

    For a `with`, which ends when the thread has ended. `stop` is a `signals.Stop`.
    """

    def __init__(self, blocks, stop):
        self.seconds, self._blocks, self._stop = 0.0, iter(blocks), stop
        self._queue, self._over = queue.Queue(_AHEAD), threading.Event()
        self._listener = thread_warnings.current()
        self._thread = threading.Thread(target=self._read, name="decode", daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def __iter__(self):
        while True:
            self._stop.check()
            try:
                block, error = self._queue.get(timeout=0.1)
            except queue.Empty:
                continue
            if error is not None:
                raise error
            if block is None:
                return
            yield block

    def _read(self):
        with thread_warnings.told_to(self._listener):
            try:
                while (block := self._next()) is not None:
                    if not self._put((block, None)):
                        return
                self._put((None, None))
            except BaseException as error:  # to be raised where the blocks are wanted
                self._put((None, error))

    def _next(self):
        begin = time.perf_counter()
        try:
            return next(self._blocks, None)
        finally:
            self.seconds += time.perf_counter() - begin

    def _put(self, item) -> bool:
        while not self._over.is_set():
            try:
                self._queue.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False


@contextmanager
def one_at_a_time(lock, stop):
    """Hold `lock`; raises Stopped if asked to while waiting for it."""
    while not lock.acquire(timeout=0.1):
        stop.check()
    try:
        yield
    finally:
        lock.release()
