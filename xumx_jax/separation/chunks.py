"""Cut a long signal into chunks and blend the results; no files, no devices, no models."""

from collections.abc import Iterable

import numpy as np


def starts(length: int, chunk: int, overlap: float) -> list[int]:
    """Where chunks of `chunk` samples begin so that together they cover `length` samples.

    `overlap` in [0, 1) is the part that neighbours share. With an overlap the last chunk is moved
    back to end with the signal, so all have one length; without, chunks butt and the last one is
    what is left, cut at `length`.
    """
    if not (chunk >= 1 and 0 <= overlap < 1):
        raise ValueError(f"chunk {chunk}, overlap {overlap}: wanted chunk >= 1, 0 <= overlap < 1")
    if overlap == 0:
        return list(range(0, length, chunk))
    if length <= chunk:
        return [0] if length else []
    step = max(1, round(chunk * (1 - overlap)))
    return [*range(0, length - chunk, step), length - chunk]


def triangle(chunk: int) -> np.ndarray:
    """Weights [time], positive everywhere and largest in the middle, where context is best."""
    index = np.arange(chunk)
    return (np.minimum(index + 1, chunk - index) / ((chunk + 1) // 2)).astype(np.float32)


def overlap_add(chunks: Iterable[np.ndarray], starts, length: int, window) -> np.ndarray:
    """Blend [source, channel, time], one a start, into [source, channel, length].

    Each chunk is weighted by `window` [time] and the sum divided by the summed weights, so any
    positive window rebuilds an unchanged input exactly. Chunks are taken one at a time, from a
    generator too; what reaches past `length` is dropped. Raises ValueError if there are fewer or
    more chunks than starts, or chunk and window differ in length.
    """
    total, weights = None, np.zeros(length, np.float32)
    for start, chunk in zip(starts, chunks, strict=True):
        if chunk.shape[-1] != len(window):
            raise ValueError(f"a chunk has {chunk.shape[-1]} samples, the window {len(window)}")
        if total is None:
            total = np.zeros((*chunk.shape[:-1], length), np.float32)
        here = min(len(window), length - start)
        total[..., start : start + here] += chunk[..., :here] * window[:here]
        weights[start : start + here] += window[:here]
    if total is None:
        raise ValueError("there are no chunks to blend")
    if not weights.all():
        raise ValueError(f"{np.count_nonzero(weights == 0)} samples are covered by no chunk")
    total /= weights
    return total
