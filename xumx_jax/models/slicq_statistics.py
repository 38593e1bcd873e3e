"""Input statistics of models that read magnitudes of a sliCQ."""

from collections.abc import Callable, Iterable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

SLICES = 32  # a piece: any track length compiles once


class MagnitudeStatistics:
    """`models.interface.InputStatistics` of bands: of all coefficients of each, in all slices.

    Channels are averaged first, as in the originals. `filled` is (params, transform, mean [band],
    deviation [band]) -> params.
    """

    def __init__(self, model, filled: Callable):
        self.transform, self.filled = model.transform, filled
        names = ("scale", "bins", "low_hz", "sample_rate")
        self.key = {name: getattr(model, name) for name in names}
        self.features = jax.jit(self._features)

    def pieces(self, mix: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
        """Cut a mix [channel, time] into pieces of SLICES slices -> (piece, slices of the mix)."""
        hop = self.transform.hop
        slices = self.transform.slices(mix.shape[-1])
        # slice n begins n - 1 hops after the beginning, and is two long
        behind = max(0, (slices + SLICES) * hop - mix.shape[-1])
        padded = np.pad(mix, [(0, 0), (hop, behind)])
        for first in range(0, slices, SLICES):
            piece = padded[:, first * hop : (first + SLICES + 1) * hop]
            yield piece, min(SLICES, slices - first)

    def _features(self, piece: Array) -> tuple[Array]:
        """[slice, coefficient], without the slices that reach beyond the piece."""
        coefficients = self.transform.analyse(piece)[:, 1 : SLICES + 1]
        return (jnp.abs(coefficients).mean(0),)

    def fill(self, params: dict, moments: Iterable[tuple[np.ndarray, np.ndarray]]) -> dict:
        """Merge the moments of a band's coefficients, and put them in place."""
        ((mean, deviation),) = moments
        mean, square = np.asarray(mean), np.square(deviation) + np.square(mean)
        sizes = self.transform.sizes[: self.transform.bands]
        first = np.cumsum(sizes) - sizes
        mean, square = (np.add.reduceat(each, first) / sizes for each in (mean, square))
        deviation = np.sqrt(square - np.square(mean))
        return self.filled(params, self.transform, mean, deviation)
