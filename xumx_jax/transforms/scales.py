"""Frequency scales: from hertz to bins, from bins to bands."""

import numpy as np


def bandwidth_to_max_bin(sample_rate: int, n_fft: int, bandwidth_hz: float) -> int:
    """The number of bins up to `bandwidth_hz`: 1487 for 16 kHz at 44.1 kHz and n_fft 4096."""
    hertz = np.linspace(0, sample_rate / 2, n_fft // 2 + 1)
    return int(np.count_nonzero(hertz <= bandwidth_hz))


def band_edges(
    sample_rate: int,
    n_fft: int,
    linear_hz: float = 1000.0,
    per_octave: int = 30,
    top_hz: float = 11000.0,
) -> tuple[int, ...]:
    """First bins of bands, one bin wide up to `linear_hz` and `per_octave` above, then the end.

    Band k covers bins edges[k] to edges[k + 1] - 1. The last edge is the first bin that no band
    covers. Doubling both `n_fft` and `sample_rate` does not change the edges.
    """
    width_hz = sample_rate / n_fft
    end = min(int(top_hz / width_hz), n_fft // 2) + 1
    edges = list(range(min(int(np.ceil(linear_hz / width_hz)), end) + 1))
    hertz = edges[-1] * width_hz
    while edges[-1] < end:
        hertz *= 2 ** (1 / per_octave)
        edges.append(min(max(round(hertz / width_hz), edges[-1] + 1), end))
    return tuple(edges)


def band_of_bin(edges: tuple[int, ...], bins: int) -> np.ndarray:
    """The band of every bin, [bin]; bins above the last band belong to it."""
    inside = np.searchsorted(edges, np.arange(bins), side="right") - 1
    return np.minimum(inside, len(edges) - 2)
