"""Average several streams of stems: of shifted mixtures, or of several models."""

from collections.abc import Iterable, Iterator

import numpy as np


def mean_of(streams: Iterable[Iterator[np.ndarray]], weights) -> Iterator[np.ndarray]:
    """Yield the weighted sum of streams of [..., time], whose blocks may have different lengths.

    Held is what the fastest is ahead of the slowest. Raises ValueError if one ends before others.
    """
    streams, weights = list(streams), [np.float32(weight) for weight in weights]
    waiting: list[np.ndarray | None] = [None] * len(streams)
    while True:
        for index, stream in enumerate(streams):
            while waiting[index] is None or not waiting[index].shape[-1]:
                block = next(stream, None)
                if block is None:
                    break
                waiting[index] = block
        there = [block is not None and block.shape[-1] > 0 for block in waiting]
        if not any(there):
            return
        if not all(there):
            raise ValueError("streams of stems have different lengths")
        count = min(block.shape[-1] for block in waiting)
        yield sum(
            block[..., :count] * weight for block, weight in zip(waiting, weights, strict=True)
        )
        waiting = [block[..., count:] for block in waiting]


def delayed(blocks: Iterable[np.ndarray], samples: int) -> Iterator[np.ndarray]:
    """Yield so many samples of silence, then the blocks [channel, time]."""
    first = True
    for block in blocks:
        if first and samples:
            yield np.zeros((block.shape[0], samples), np.float32)
        first = False
        yield block


def advanced(blocks: Iterable[np.ndarray], samples: int) -> Iterator[np.ndarray]:
    """Yield the blocks [..., time] without their first so many samples."""
    for block in blocks:
        left = min(samples, block.shape[-1])
        samples -= left
        if left < block.shape[-1]:
            yield block[..., left:]
