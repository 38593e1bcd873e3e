"""A track on its way to a Separator, block by block, and again beside its stems."""

import contextvars
import queue
import threading
import time
from contextlib import contextmanager, nullcontext

import numpy as np

from xumx_jax.audio.decode import AudioStream
from xumx_jax.audio.resample import StreamResampler, resampled_length
from xumx_jax.errors import UserError
from xumx_jax.separation.inputs import finite
from xumx_jax.separation.stream_buffer import SampleQueue

_AHEAD = 4  # blocks
_PATIENCE = 0.1  # seconds of waiting between two checks for whether to stop


class Mixture:
    """The mixture made from decoded audio: finite, with the chosen channels, at the chosen rate.

    stream   an AudioStream; `source`, if given, supplies its blocks instead
    wide     keep all channels; otherwise only the front pair of more than two
    rate     hertz to resample to; None: the stream's rate
    strict   samples that are not finite are an error; otherwise they become 0

    Iterate over it once for [channel, time]; `take` then returns the same samples again. `read` and
    `bad` count samples of the stream so far, `given` those that were yielded, and `length` is how
    many will be, None if unknown; `expected` is then the best guess, 0 if there is none.
    """

    def __init__(
        self, label, stream: AudioStream, source=None, wide=False, rate=None, strict=False
    ):
        self.channels = stream.channels if wide else min(2, stream.channels)
        self.rate = rate or stream.rate
        self.length = None
        if stream.length is not None:
            self.length = resampled_length(stream.length, stream.rate, self.rate)
        self.expected = self.length or resampled_length(stream.estimate, stream.rate, self.rate)
        self.read = self.bad = self.given = 0
        self._label, self._strict = label, strict
        self._source = stream if source is None else source
        self._resampler = StreamResampler(stream.rate, self.rate, self.channels)
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
        """Return the next [channel, samples] of what was yielded, each sample once."""
        return self._held.take(samples) if samples else np.zeros((self.channels, 0), np.float32)


class ReadAhead:
    """Iterate over `blocks` in a thread of its own, a few of them ahead; `seconds` counts its work.

    A context manager that ends when the thread has ended. `check()` is called while its reader
    waits, and may raise.
    """

    def __init__(self, blocks, check):
        self.seconds, self._blocks, self._check = 0.0, iter(blocks), check
        self._queue, self._over = queue.Queue(_AHEAD), threading.Event()
        # in a copy of this context, so that warnings reach whoever collects them here
        run = contextvars.copy_context().run
        self._thread = threading.Thread(target=run, args=(self._read,), name="decode", daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def __iter__(self):
        while True:
            self._check()
            try:
                block, error = self._queue.get(timeout=_PATIENCE)
            except queue.Empty:
                continue
            if error is not None:
                raise error
            if block is None:
                return
            yield block

    def _read(self):
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
                self._queue.put(item, timeout=_PATIENCE)
                return True
            except queue.Full:
                continue
        return False


def held(lock, check):
    """Hold a `threading.Lock`, or None, in a `with`; `check()` is called while it is waited for."""
    return nullcontext() if lock is None else _held(lock, check)


@contextmanager
def _held(lock, check):
    while not lock.acquire(timeout=_PATIENCE):
        check()
    try:
        yield
    finally:
        lock.release()
