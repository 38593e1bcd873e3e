"""Streams of blocks side by side: brought to one length, averaged, shifted in time."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from xumx_jax.separation.stream_buffer import SampleQueue


def aligned(streams: Iterable[Iterator[np.ndarray]]) -> Iterator[list[np.ndarray]]:
    """Yield one block of every stream of [..., time], all of equal length, whatever their own.

    Holds what the fastest stream is ahead of the slowest. Raises ValueError if one ends early.
    """
    streams = list(streams)
    waiting = [SampleQueue() for _ in streams]
    while True:
        for stream, held in zip(streams, waiting, strict=True):
            while not held.samples and (block := next(stream, None)) is not None:
                held.put(block)
        samples = min(held.samples for held in waiting)
        if not samples:
            break
        yield [held.take(samples) for held in waiting]
    if any(held.samples for held in waiting):
        raise ValueError("streams of stems have different lengths")


def mean_of(streams: Iterable[Iterator[np.ndarray]], weights) -> Iterator[np.ndarray]:
    """Yield the weighted sum of streams of [..., time], whose blocks may have different lengths."""
    weights = [np.float32(weight) for weight in weights]
    for blocks in aligned(streams):
        weighted = [block * weight for block, weight in zip(blocks, weights, strict=True)]
        yield sum(weighted[1:], start=weighted[0])


def shares(progress: Callable[[float], None], count: int) -> list[Callable[[float], None]]:
    """Progress functions for several streams; `progress` gets the mean of all."""
    done = [0.0] * count

    def share(index):
        def note(fraction):
            done[index] = fraction
            progress(sum(done) / count)

        return note

    return [share(index) for index in range(count)]


def delayed(blocks: Iterable[np.ndarray], samples: int) -> Iterator[np.ndarray]:
    """Yield a number of samples of silence, then the blocks [channel, time]."""
    first = True
    for block in blocks:
        if first and samples:
            yield np.zeros((block.shape[0], samples), np.float32)
        first = False
        yield block


def advanced(blocks: Iterable[np.ndarray], samples: int) -> Iterator[np.ndarray]:
    """Yield the blocks [..., time] without a number of samples at the start."""
    for block in blocks:
        left = min(samples, block.shape[-1])
        samples -= left
        if left < block.shape[-1]:
            yield block[..., left:]
