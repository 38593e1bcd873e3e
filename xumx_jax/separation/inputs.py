"""Prepare mixtures for a model: decoded ahead, finite, with the right channels and rate."""

import contextvars
import os
import queue
import threading
import time
from contextlib import contextmanager, nullcontext

import numpy as np

from xumx_jax.audio.decode import AudioStream
from xumx_jax.audio.resample import StreamResampler, resampled_length, whole_rate
from xumx_jax.errors import UserError, warn
from xumx_jax.separation.stream_buffer import SampleQueue

LARGEST = 1e12  # 240 dB above full scale; float32 powers of spectra overflow from some 1e15 on
_MOST_CHANNELS = 64  # of an array; more are samples in their place
_FEW = 8  # channels that even an array of fewer samples may have
# {(kind, bytes): what is silence, what is full scale} of integers, as in audio files
_INTEGERS = {("u", 1): (128, 2.0**7), ("i", 2): (0, 2.0**15), ("i", 4): (0, 2.0**31)}


def as_floats(array, what: str) -> np.ndarray:
    """Samples of any usual type as float32 [channel, time], where full scale is 1.

    Integers of 16 and 32 bits, and unsigned ones of 8, are scaled as in audio files. Raises
    UserError on anything else, naming it as `what`.
    """
    if isinstance(array, str | bytes | os.PathLike):
        raise UserError(f"{what} is {str(array)!r}; wanted samples, an array [channel, time]")
    try:
        array = np.asarray(array)
    except ValueError:  # rows of different lengths
        raise UserError(f"{what} is no array; wanted samples [channel, time]") from None
    if array.ndim != 2 or not array.shape[0]:
        raise UserError(f"{what} has shape {array.shape}; wanted [channel, time]")
    kind = array.dtype.kind
    if kind == "f" or array.dtype.name == "bfloat16":
        with np.errstate(over="ignore"):  # infinite, and so replaced
            return array.astype(np.float32, copy=False)
    if (kind, array.dtype.itemsize) not in _INTEGERS:
        raise UserError(
            f"{what} has samples of type {array.dtype}; wanted floating point with full scale 1, "
            "int16, int32 or uint8"
        )
    silence, full = _INTEGERS[kind, array.dtype.itemsize]
    return ((array.astype(np.float64) - silence) / full).astype(np.float32)


def check_layout(array, what: str) -> None:
    """Raise UserError for an array that is [time, channel]: it has more channels than samples."""
    channels, time = array.shape
    if channels > _MOST_CHANNELS or _FEW < channels > time > 0:
        raise UserError(
            f"{what} has shape {array.shape}, which is {channels} channels of {time} samples; "
            "wanted [channel, time]"
        )


def finite(block: np.ndarray) -> tuple[np.ndarray, int]:
    """Replace samples that are NaN, infinite or beyond LARGEST by 0 -> (block, number replaced)."""
    good = np.abs(block) < LARGEST
    bad = int(block.size - np.count_nonzero(good))
    return (np.where(good, block, np.float32(0)) if bad else block), bad


def replaced(bad: int) -> str:
    """What to warn of so many samples that `finite` has replaced."""
    return f"{bad} samples are NaN, infinite or beyond 1e12 and were replaced by 0"


class InputBlocks:
    """Iterate over blocks, made finite and with the model's channels; counts what was odd.

    channels   of the stems: those of the blocks, at most two
    samples    so far
    """

    def __init__(self, blocks, model_channels):
        self._blocks, self._model_channels = blocks, model_channels
        self.channels, self.samples, self.bad = 0, 0, 0
        self._width = None  # of the first block

    def __iter__(self):
        for block in self._blocks:
            block = as_floats(block, "a block")
            if self._width is None:
                check_layout(block, "the first block")
            if self._width not in (None, block.shape[0]):
                raise UserError(
                    f"a block has {block.shape[0]} channels; wanted {self._width}, as the first"
                )
            if self._width is None and block.shape[0] > 2:
                warn(
                    f"the mixture has {block.shape[0]} channels: the front pair (the first two) is "
                    "separated into stereo stems"
                )
            self._width = block.shape[0]
            self.channels = min(2, self._width)
            self.samples += block.shape[1]
            block, bad = finite(block)
            self.bad += bad
            block = block[:2]
            yield np.repeat(block, 2, axis=0) if len(block) < self._model_channels else block

    def warn(self):
        """Warn about what was odd."""
        if not self.samples:
            warn("the mixture has no samples: the stems are empty")
        if self.bad:
            warn(replaced(self.bad))


_AHEAD = 4  # blocks
_PATIENCE = 0.1  # seconds of waiting between two checks for whether to stop


class Mixture:
    """The mixture made from decoded audio: finite, with the chosen channels, at the chosen rate.

    stream   an AudioStream; `source`, if given, supplies its blocks instead
    wide     keep all channels; otherwise only the front pair of more than two
    rate     hertz to resample to; None: the stream's rate
    strict   samples that are NaN, infinite or beyond 1e12 are an error; otherwise they become 0

    Iterate over it once for [channel, time]; `take` then returns the same samples again. `read` and
    `bad` count samples of the stream so far, `given` those that were yielded, and `length` is how
    many will be, None if unknown; `expected` is then the best guess, 0 if there is none.
    """

    def __init__(
        self, label, stream: AudioStream, source=None, wide=False, rate=None, strict=False
    ):
        self.channels = stream.channels if wide else min(2, stream.channels)
        given = whole_rate(stream.rate)
        self.rate = rate or given
        self.length = None
        if stream.length is not None:
            self.length = resampled_length(stream.length, given, self.rate)
        self.expected = self.length or resampled_length(stream.estimate, given, self.rate)
        self.read = self.bad = self.given = 0
        self._label, self._strict, self._width = label, strict, stream.channels
        self._source = stream if source is None else source
        self._resampler = StreamResampler(given, self.rate, self.channels)
        self._held = SampleQueue()

    def __iter__(self):
        for block in self._source:
            block = as_floats(block, f"{self._label}: a block")
            if len(block) != self._width:
                raise UserError(
                    f"{self._label}: a block has {len(block)} channels; wanted {self._width}"
                )
            self.read += block.shape[1]
            block, bad = finite(block)
            self.bad += bad
            if self._strict and self.bad:
                continue  # all are counted
            yield from self._pass(self._resampler.push(block[: self.channels]))
        if self._strict and self.bad:
            raise UserError(
                f"{self._label}: {self.bad} samples are NaN, infinite or beyond 1e12; use finite "
                "ones, or leave out --strict"
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
    """Iterate over `blocks` in a separate thread, a few of them ahead; `seconds` counts its work.

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
