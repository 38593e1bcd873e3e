"""Spectra are tuples of blocks; what is computed block by block counts equally."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import jax.numpy as jnp
import numpy as np
from jax import Array


def mean(values: Sequence[Array]) -> Array:
    """The mean over blocks of their values; a single block's value as it is."""
    return values[0] if len(values) == 1 else sum(values[1:], values[0]) / len(values)


def pieces(
    transform, *spectra: Sequence[Array], frames_first: bool = False
) -> Iterator[tuple[Callable, tuple[Array, ...]]]:
    """What to compare at a time of several spectra, tuples of blocks: (average, one of each).

    `mean` of the averages of what is computed value by value is the mean over blocks, of which each
    counts equally. A transform that has `joined` gives one array for all its blocks, since seventy
    blocks would be seventy loops to compile; `average` then weighs its values. Other blocks are
    given one by one, with `frames_first` as [..., frame, bin], as an STFT is computed. Raises
    ValueError if the spectra differ in their number of blocks.
    """
    blocks = list(zip(*spectra, strict=True))
    if len(blocks) > 1 and hasattr(transform, "joined"):
        sizes = np.array([first.shape[-3] * first.shape[-1] for first, *_ in blocks])
        weights = np.repeat(1 / (len(sizes) * sizes), sizes).astype(np.float32)
        yield partial(_weighted_mean, weights), tuple(transform.joined(each) for each in spectra)
        return
    for block in blocks:
        yield jnp.mean, tuple(x.swapaxes(-1, -2) for x in block) if frames_first else block


def _weighted_mean(weights: np.ndarray, values: Array) -> Array:
    """The mean of [..., coefficient] over all axes but the last, and their weighted sum."""
    return (values.mean(tuple(range(values.ndim - 1))) * weights).sum()
