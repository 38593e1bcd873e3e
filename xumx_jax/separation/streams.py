"""Streams of blocks: side by side, shifted in time, at another rate; and all at once."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from xumx_jax.audio import StreamResampler
from xumx_jax.separation.inputs import as_floats, check_layout
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


def resampled(blocks, rate, target):
    """Yield blocks [channel, time] at another rate."""
    stream = None
    for block in blocks:
        stream = stream or StreamResampler(rate, target, block.shape[0])
        yield stream.push(block)
    if stream is not None:
        yield stream.finish()


def at_once(separator, mix, rate, callback) -> dict[str, np.ndarray]:
    """Separate an array [channel, time] with the `stream` of a Separator or a BagSeparator."""
    mix = as_floats(mix, "the mixture")
    check_layout(mix, "the mixture")
    length = mix.shape[1]
    stems = {
        name: np.zeros((min(2, mix.shape[0]), length), np.float32) for name in separator.sources
    }
    at = 0
    for block in separator.stream([mix], rate, length, callback):
        for name, samples in block.items():
            stems[name][:, at : at + samples.shape[1]] = samples
        at += samples.shape[1]
    if at != length:
        raise AssertionError(f"{at} samples of stems came of {length}")
    return stems
