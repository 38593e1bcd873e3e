"""What a sliCQ transform is made of: bands, windows, slices and their tables, in float64 NumPy.

Holighaus, Dörfler, Velasco and Grill 2013, "A framework for invertible, real-time constant-Q
transforms": the track is cut into overlapping slices, and the spectrum of each into bands of
different width, whose own transforms are the coefficients.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any, Generic, TypeVar

import numpy as np

from xumx_jax.transforms.slicq.scales import SCALES

LEAST = 16  # coefficients of a band and slice
# Harris's four terms of 1978 to within 3e-5, as nsgt has them; centred at 0
WINDOW = (0.35872, 0.48832, 0.14128, 0.01168)
CACHED = 32  # plans whose tables are kept
LARGEST = 1 << 24  # samples of a slice: 128 MB of float64, times the bands


T = TypeVar("T")


class shared(Generic[T]):  # noqa: N801 (used as `property` is)
    """A property that equal plans share: models make their plans anew all the time."""

    def __init__(self, function: Callable[[Any], T]):
        self._of = lru_cache(CACHED)(function)
        self.__doc__ = function.__doc__

    def __get__(self, plan: Any, owner: type) -> T:
        return self._of(plan)


@dataclass(frozen=True)
class Block:
    """Bands that follow each other and have as many coefficients in a slice each."""

    first: int
    bands: int
    size: int


@dataclass(frozen=True)
class Plan:
    """The bands and slices of a transform; hashable, so it may be a static argument.

    scale        of SCALES
    bins         of the scale; with "oct", in an octave
    low_hz       centre of the lowest band above that of 0 Hz
    high_hz      centre of the highest; None: half the sample rate, whose own band replaces it
    gamma_hz     of "vqlog": added to all centres
    sample_rate  in hertz
    transition   in samples, of each flank of a slice's window; None: a quarter of a slice
    matrix       give all bands as many coefficients as the widest has: one block
    """

    scale: str = "bark"
    bins: int = 262
    low_hz: float = 32.9
    high_hz: float | None = None
    gamma_hz: float = 0.0
    sample_rate: int = 44100
    transition: int | None = None
    matrix: bool = False

    def __post_init__(self):
        top = self.sample_rate / 2 if self.high_hz is None else self.high_hz
        if self.scale not in SCALES:
            raise ValueError(f"scale {self.scale!r}: wanted one of {', '.join(SCALES)}")
        if self.bins < (1 if self.scale == "oct" else 2):
            raise ValueError(f"bins {self.bins}: wanted 2 or more, or 1 in an octave")
        if not 0 < self.low_hz < top <= self.sample_rate / 2:
            raise ValueError(
                f"bands from {self.low_hz} to {top} Hz: wanted 0 < low < high <= "
                f"{self.sample_rate / 2}, half the sample rate"
            )
        if self.gamma_hz < 0:
            raise ValueError(f"gamma_hz {self.gamma_hz}: wanted 0 or more")
        if self.length > LARGEST:
            raise ValueError(
                f"bands as narrow as {8 * self.sample_rate / self.length:.3g} Hz need slices of "
                f"{self.length} samples: wanted at most {LARGEST}; ask for fewer bins, or a higher "
                "lowest frequency"
            )
        if not 0 < self.flank <= self.length // 2 or self.flank % 2:
            raise ValueError(
                f"transition {self.flank}: wanted an even number of samples, at most half a slice "
                f"({self.length // 2})"
            )
        if max(self.lengths) > self.length:
            raise ValueError(
                f"{self.bins} {self.scale} bins from {self.low_hz} Hz are wider than a slice "
                f"({self.length} samples): wanted more bins, or a higher lowest frequency"
            )
        if self.diagonal.min() < 1e-6 * self.diagonal.max():
            raise ValueError(
                f"{self.bins} {self.scale} bins from {self.low_hz} Hz leave gaps between them"
            )

    @shared
    def centres(self) -> tuple[np.ndarray, np.ndarray]:
        """Centre frequencies of the scale, in hertz, and quality factors."""
        top = self.sample_rate / 2 if self.high_hz is None else self.high_hz
        return SCALES[self.scale](self.bins, self.low_hz, top, self.gamma_hz)

    @shared
    def length(self) -> int:
        """Samples of a slice: eight periods of beating of the narrowest band, by fours."""
        hertz, quality = self.centres
        return 4 * -(-int(np.ceil((8 * quality * self.sample_rate / hertz).max())) // 4)

    @property
    def hop(self) -> int:
        """From one slice to the next, in samples."""
        return self.length // 2

    @shared
    def flank(self) -> int:
        """Samples of each flank of a slice's window."""
        if self.transition is not None:
            return self.transition
        quarter = self.length // 4
        return quarter + quarter % 2

    @property
    def bands(self) -> int:
        """How many bands have coefficients: those of 0 Hz and of half the sample rate, too."""
        return len(self.positions) // 2 + 1

    @shared
    def _bands(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Positions and lengths in bins of a slice's spectrum, and which windows are flat.

        Of all bands: 0 Hz, those of the scale, half the sample rate, and the mirrored ones.
        """
        hertz, quality = self.centres
        rate = self.sample_rate
        kept = (hertz > 0) & (hertz < rate / 2)
        hertz, quality = hertz[kept], quality[kept]
        count = len(hertz)
        c = np.concatenate([[0.0], hertz, [rate / 2], rate - hertz[::-1]]) * (self.length / rate)
        widths = np.zeros(count + 2)
        widths[0] = 2 * c[1]
        widths[1:-1] = c[2 : count + 2] - c[:count]
        widths[count + 1] = c[count + 2] - c[count]
        for edge in {1, count}:
            widths[edge] = c[edge] / quality[edge - 1]
        lengths = np.maximum(LEAST, 4 * np.round(widths / 4)).astype(int)
        positions = (2 * np.round(c / 2)).astype(int)
        return positions, np.concatenate([lengths, lengths[count:0:-1]]), hertz

    @property
    def positions(self) -> np.ndarray:
        """The bin of each band's centre, of all bands including the mirrored ones; all even."""
        return self._bands[0]

    @property
    def lengths(self) -> np.ndarray:
        """The bins of each band's window, of all bands including the mirrored ones."""
        return self._bands[1]

    @shared
    def sizes(self) -> np.ndarray:
        """Coefficients of each band in a slice, of all bands including the mirrored ones."""
        return np.full_like(self.lengths, self.lengths.max()) if self.matrix else self.lengths

    @property
    def hertz(self) -> np.ndarray:
        """Centre frequencies of the bands, [band]."""
        return np.concatenate([[0.0], self._bands[2], [self.sample_rate / 2]])

    @shared
    def blocks(self) -> tuple[Block, ...]:
        """Bands of equal size that follow each other: the blocks of the transform."""
        found, first = [], 0
        for size, same in groupby(self.sizes[: self.bands]):
            found.append(Block(first, len(list(same)), int(size)))
            first += found[-1].bands
        return tuple(found)

    @shared
    def coefficients(self) -> int:
        """Of all bands in one slice."""
        return sum(block.bands * block.size for block in self.blocks)

    @shared
    def window(self) -> np.ndarray:
        """Of a slice, [time]: Tukey's, which adds up to 1 where slices overlap."""
        rise = (1 - np.cos(np.pi * np.arange(self.flank) / self.flank)) / 2
        window, start, hop = np.zeros(self.length), self.length // 4 - self.flank // 2, self.hop
        window[start : start + hop] = 1
        window[start : start + self.flank] = rise
        window[start + hop : start + hop + self.flank] = 1 - rise
        return window

    def band_window(self, band: int) -> np.ndarray:
        """Of a band in the spectrum, [length]: as FFTs are ordered, so its peak comes first."""
        size = self.lengths[band]
        last = self.bands - 1
        if band in (0, last):
            inner = self.lengths[1 if band == 0 else last - 1]
            if size > inner:
                # flat, with the flanks of half a Hann window as wide as the neighbour's
                window = np.ones(size)
                edge = size // 2 - inner // 2
                window[edge : edge + inner] = (1 + np.cos(2 * np.pi * np.arange(inner) / inner)) / 2
                return window
        phase = 2 * np.pi * np.arange(size) / size
        return np.sum([a * np.cos(n * phase) for n, a in enumerate(WINDOW)], axis=0)

    @shared
    def diagonal(self) -> np.ndarray:
        """Of the frame operator, [bin] from 0 to half the sample rate: what the windows add up to.

        The windows do not alias within a band (Balazs et al. 2011: the painless case), so dividing
        by it inverts the transform.
        """
        total = np.zeros(self.length)
        for band in range(len(self.positions)):
            mirrored = band >= self.bands
            window = self.band_window(len(self.positions) - band if mirrored else band)
            np.add.at(total, self.bins_of(band) % self.length, self.sizes[band] * window**2)
        return total[: self.length // 2 + 1]

    def bins_of(self, band: int) -> np.ndarray:
        """The bins that the window of a band covers, [length], as FFTs are ordered.

        Those below 0 and above half the sample rate are the mirror images of bins.
        """
        return self.positions[band] + self.order(self.lengths[band])

    @staticmethod
    def order(size: int) -> np.ndarray:
        """0, 1, .. size / 2 - 1, -size / 2, .. -1."""
        return (np.arange(size) + size // 2) % size - size // 2

    def slices(self, samples: int) -> int:
        """How many slices cover so many samples."""
        quarters = -(-samples // (self.length // 4))
        return (quarters + 1) // 2 + 1
