"""Iterate over long waveforms, some seconds at a time, in several threads.

Waves are anything with `.shape` (source, channel, time) and `waves[:, :, start:stop]` as an array:
numpy arrays, memory maps, readers of files.
"""

import operator
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial, reduce
from numbers import Real
from typing import NamedTuple

import jax
import numpy as np
from jax import Array

from xumx_jax.errors import UserError

TOGETHER = 16  # frames at most, each of which is compiled
THREADS = 4  # at most; what is at a time is in memory once a thread


def check_waves(references, estimates) -> tuple[int, int, int]:
    """Return (sources, channels, samples) of both. Raises ValueError if they differ."""
    if len(references.shape) != 3 or 0 in references.shape:
        raise ValueError(f"references {references.shape}; wanted [source, channel, time]")
    if tuple(references.shape) != tuple(estimates.shape):
        raise ValueError(f"references {references.shape} and estimates {estimates.shape} differ")
    return tuple(references.shape)


def read(waves, start: int, stop: int) -> np.ndarray:
    """Read samples start to stop of waves, as float32 if they have that type, else float64."""
    part = np.asarray(waves[:, :, start:stop])
    wanted = min(stop, waves.shape[2]) - start
    if part.shape[2] != wanted:
        raise ValueError(f"samples {start} to {stop} are {part.shape[2]}, wanted {wanted}")
    if part.dtype.kind not in "fiu":
        raise UserError(f"the waves are of type {part.dtype}; wanted real numbers")
    return part if part.dtype == np.float32 else part.astype(np.float64, copy=False)


def pad(part: np.ndarray, length: int) -> np.ndarray:
    """Append silence: compiled functions take a fixed length."""
    missing = length - part.shape[-1]
    return np.pad(part, ((0, 0), (0, 0), (0, missing))) if missing else part


class Framing(NamedTuple):
    """Frames of `window` samples every `hop` samples, `together` at once: a compiled shape."""

    window: int
    hop: int
    together: int

    def cut(self, waves: Array) -> list[Array]:
        """Cut [source, channel, time] into frames."""
        starts = range(0, self.together * self.hop, self.hop)
        return [waves[:, :, start : start + self.window] for start in starts]

    def span(self, frames: int) -> int:
        """The number of samples that a number of frames covers."""
        return (frames - 1) * self.hop + self.window


class Frames:
    """All frames of references and estimates, in parts of a few, of about `samples`."""

    def __init__(self, references, estimates, rate, window_seconds, hop_seconds, samples):
        length = references.shape[2]
        if not (isinstance(rate, Real) and float(rate) > 0):
            raise UserError(f"the sample rate is {rate!r}; wanted a positive number of hertz")
        if not (window_seconds > 0 and hop_seconds > 0):
            raise ValueError(f"window {window_seconds} s, hop {hop_seconds} s: wanted more than 0")
        # an infinite window is the whole track
        window, hop = (int(min(s * rate, length)) for s in (window_seconds, hop_seconds))
        if window < 1 or hop < 1:
            raise ValueError(
                f"window {window_seconds} s, hop {hop_seconds} s: shorter than one sample"
            )
        self.count = 1 if length <= window else (length - window + hop) // hop
        together = max(1, min(self.count, TOGETHER, samples // window))
        self.framing = Framing(window, hop, together)
        self.waves = references, estimates

    def __iter__(self) -> Iterator[tuple[np.ndarray, ...]]:
        """Yield parts of both waves, [source, channel, time], each with the frames of one call."""
        framing = self.framing
        for first in range(0, self.count, framing.together):
            start = first * framing.hop
            span = framing.span(min(framing.together, self.count - first))
            parts = (read(waves, start, start + span) for waves in self.waves)
            yield tuple(pad(part, framing.span(framing.together)) for part in parts)

    def map(self, function: Callable, double: bool) -> np.ndarray:
        """Apply `function(references, estimates, framing=...)` to all parts; join the results."""
        parts = in_threads(partial(function, framing=self.framing), self, double)
        return np.concatenate(list(parts))[: self.count]


def in_threads(function: Callable, items, double: bool, device=None) -> Iterator[np.ndarray]:
    """Apply a compiled function to each tuple of arrays, in order, on several at once."""
    device = device or jax.config.jax_default_device  # pyright: ignore[reportAttributeAccessIssue]

    def one(arrays):
        with jax.enable_x64(double), jax.default_device(device):  # settings of the thread
            return jax.tree.map(np.asarray, function(*arrays))

    threads = min(THREADS, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)
    with ThreadPoolExecutor(threads) as pool:
        waiting = []
        for arrays in items:
            if len(waiting) > threads:
                yield waiting.pop(0).result()
            waiting.append(pool.submit(one, arrays))
        for future in waiting:
            yield future.result()


def any_silent(references: Array, estimates: Array) -> Array:
    """Whether a source is silent in frames [..., source, channel, time] -> [...].

    As in museval, a source is silent if its channels add up to 0.
    """
    silent = [(add_channels(waves) == 0).all(-1).any(-1) for waves in (references, estimates)]
    return silent[0] | silent[1]


def add_channels(waves: Array) -> Array:
    """[..., channel, time] -> [..., time]; for a CPU several times as fast as `sum`."""
    return reduce(operator.add, (waves[..., channel, :] for channel in range(waves.shape[-2])))
