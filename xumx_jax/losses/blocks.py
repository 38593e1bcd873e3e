"""Spectra are tuples of blocks; what is computed block by block counts equally."""

from collections.abc import Sequence

from jax import Array


def mean(values: Sequence[Array]) -> Array:
    """The mean over blocks of their values; a single block's value as it is."""
    return values[0] if len(values) == 1 else sum(values[1:], values[0]) / len(values)
