"""Average several streams of stems: of shifted mixtures, or of several models."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from xumx_jax.separation.fifo import aligned


def mean_of(streams: Iterable[Iterator[np.ndarray]], weights) -> Iterator[np.ndarray]:
    """Yield the weighted sum of streams of [..., time], whose blocks may have different lengths."""
    weights = [np.float32(weight) for weight in weights]
    for blocks in aligned(streams):
        yield sum(block * weight for block, weight in zip(blocks, weights, strict=True))


def shares(tell: Callable[[float], None], count: int) -> list[Callable[[float], None]]:
    """Functions for so many streams to say how far they are; `tell` gets the mean of all."""
    done = [0.0] * count

    def share(index):
        def note(far):
            done[index] = far
            tell(sum(done) / count)

        return note

    return [share(index) for index in range(count)]


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
