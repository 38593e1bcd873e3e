"""Input statistics of models that read magnitudes of a sliCQ."""

from collections.abc import Callable, Iterable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from xumx_jax.transforms.slicq.blocks import overlapped

SLICES = 32  # a piece: any track length compiles once


class MagnitudeStatistics:
    """`models.interface.InputStatistics` of bands: of all coefficients of each, in all slices.

    Channels are averaged first, as in the originals. `filled` is (params, transform, mean [band],
    deviation [band]) -> params. `overlapped`: of magnitudes of which slices are added where they
    overlap (`transforms.slicq.blocks.overlapped`).
    """

    def __init__(self, model, filled: Callable, overlapped: bool = False):
        self.transform, self.filled = model.transform, filled
        self.overlapped = overlapped
        names = ("scale", "bins", "low_hz", "sample_rate")
        self.key = {name: getattr(model, name) for name in names} | {"overlapped": overlapped}
        self.features = jax.jit(self._features)

    def pieces(self, mix: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
        """Cut a mix [channel, time] into pieces of SLICES slices -> (piece, slices of the mix).

        Of overlapped ones there is one more, and each needs the slice before it.
        """
        hop, more = self.transform.hop, int(self.overlapped)
        slices = self.transform.slices(mix.shape[-1]) + more
        # slice n begins n - 1 hops after the beginning, and is two long
        behind = max(0, (slices + SLICES) * hop - mix.shape[-1])
        padded = np.pad(mix, [(0, 0), ((1 + more) * hop, behind)])
        for first in range(0, slices, SLICES):
            piece = padded[:, first * hop : (first + SLICES + 1 + more) * hop]
            yield piece, min(SLICES, slices - first)

    def _features(self, piece: Array) -> tuple[Array]:
        """[slice, coefficient], without the slices that reach beyond the piece."""
        last = SLICES + 1 + self.overlapped
        magnitudes = jnp.abs(self.transform.analyse(piece)[:, 1:last]).mean(0)
        if self.overlapped:  # without the first and the last, which half a slice makes
            magnitudes = overlapped(self.transform.shapes, magnitudes)[1:-1]
        return (magnitudes,)

    def fill(self, params: dict, moments: Iterable[tuple[np.ndarray, np.ndarray]]) -> dict:
        """Merge the moments of a band's coefficients, and put them in place."""
        ((mean, deviation),) = moments
        mean, square = np.asarray(mean), np.square(deviation) + np.square(mean)
        sizes = self.transform.sizes[: self.transform.bands] // (1 + self.overlapped)
        first = np.cumsum(sizes) - sizes
        mean, square = (np.add.reduceat(each, first) / sizes for each in (mean, square))
        deviation = np.sqrt(square - np.square(mean))
        return self.filled(params, self.transform, mean, deviation)
