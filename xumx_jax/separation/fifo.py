"""Samples that wait: in at any lengths, out at any other."""

from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np


class Fifo:
    """Blocks of arrays [..., time], put in at any length and taken out at any other."""

    def __init__(self):
        self.samples, self._blocks = 0, deque()

    def put(self, block):
        self._blocks.append(block)
        self.samples += block.shape[-1]

    def take(self, samples) -> np.ndarray:
        """The next [..., samples]; at least one, and no more than there are."""
        if not 0 < samples <= self.samples:
            raise AssertionError(f"{samples} samples wanted of {self.samples}")
        self.samples -= samples
        parts = []
        while samples:
            block = self._blocks.popleft()
            if block.shape[-1] > samples:
                self._blocks.appendleft(block[..., samples:])
                block = block[..., :samples]
            samples -= block.shape[-1]
            parts.append(block)
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)


def aligned(streams: Iterable[Iterator[np.ndarray]]) -> Iterator[list[np.ndarray]]:
    """Yield from every stream of [..., time] a block, all of one length, whatever theirs are.

    Held is what the fastest is ahead of the slowest. Raises ValueError if one ends before others.
    """
    streams = list(streams)
    waiting = [Fifo() for _ in streams]
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
