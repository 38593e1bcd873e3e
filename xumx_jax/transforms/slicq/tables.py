"""Which bins of a slice's spectrum belong to which coefficients, with which weights.

All arrays are static. A coefficient here is a value of a band's spectrum, before its inverse FFT or
after its FFT: `plan.coefficients` of them a slice, in the order of the blocks.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from xumx_jax.transforms.slicq.plan import Plan

GAP = 256  # bins that are rather gathered in vain than left out, at the cost of another gather


@dataclass(frozen=True, eq=False)
class Gather:
    """A run of bins, each with one of the coefficients that reach it.

    first    bin of the run
    index    [bin], among the coefficients of a slice
    weights  [bin]
    mirrored  whether the coefficients lie at the bins' mirror images, and are to be conjugated
    """

    first: int
    index: np.ndarray
    weights: np.ndarray
    mirrored: bool

    def padding(self, bins: int) -> tuple[int, int]:
        """How many bins of the spectrum lie before and behind the run."""
        return self.first, bins - self.first - len(self.index)


def places(plan: Plan) -> list[tuple[np.ndarray, np.ndarray]]:
    """(places among the coefficients of the band, bins) of the window of each band."""
    found = []
    for band in range(plan.bands):
        order = plan.order(plan.lengths[band])
        found.append((order % plan.sizes[band], plan.positions[band] + order))
    return found


def sign(plan: Plan, band: int) -> float:
    """What moves the coefficients of a band to where they are as if slices were rotated.

    The originals rotate slices and coefficients so that phases go on from one slice to the next;
    together that is a sign for each band.
    """
    return 1.0 - plan.positions[band] // 2 % 2 * 2.0


@lru_cache
def analysis(plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """The bin of each coefficient, and its window: [coefficient] int32 and float64.

    Bins may be below 0 or above half the sample rate.
    """
    index, weights = [], []
    for band, (at, bins) in enumerate(places(plan)):
        here, window = np.zeros(plan.sizes[band], np.int32), np.zeros(plan.sizes[band])
        here[:] = plan.positions[band]
        here[at], window[at] = bins, plan.band_window(band) * sign(plan, band)
        index.append(here)
        weights.append(window)
    return np.concatenate(index), np.concatenate(weights)


@lru_cache
def synthesis(plan: Plan, rule: str) -> tuple[Gather, ...]:
    """How the spectrum of a slice, of which an irFFT follows, is made of the coefficients.

    rule  "exact": with the dual windows, all bands counted with their mirror images, so that the
          transform is inverted whatever the scale. "original": without mirror images, as xumx-sliCQ
          has it; exact only if no band crosses 0 or half the sample rate. "adjoint": with the
          windows themselves, as the gradient of `analyse` needs it.
    """
    half, (_, windows) = plan.length // 2, analysis(plan)
    coefficient, bins, weights = [], [], []
    start = 0
    for band, (at, here) in enumerate(places(plan)):
        size, outer = plan.sizes[band], band in (0, plan.bands - 1)
        window = windows[start + at]
        mirror = np.abs(np.where(here > half, 2 * half - here, here))
        if rule == "adjoint":
            weight = window * plan.length / size
        else:
            weight = window * size / plan.diagonal[mirror]
        end = (mirror == 0) | (mirror == half)
        if rule == "original":
            inside = (here >= 0) & (here <= half)
            at, here, weight = at[inside], here[inside], weight[inside]
        else:
            # The real part of the inverse FFT of the outer bands and twice the others: an irFFT of
            # half of what lies at each bin and at its mirror image, but for real values at the ends
            part = 1.0 if outer and rule == "exact" or rule == "adjoint" else 2.0
            weight = weight * part * np.where(end, 1.0, 0.5)
        coefficient.append(start + at)
        bins.append(here)
        weights.append(weight)
        start += size
    return _gathers(half + 1, *map(np.concatenate, (coefficient, bins, weights)))


def _gathers(count: int, coefficient, bins, weights) -> tuple[Gather, ...]:
    """Sort the coefficients by bin, and the n-th of each bin into gathers of runs of bins."""
    last, found = count - 1, []
    outside = (bins < 0) | (bins > last)
    for mirrored in (False, True):
        chosen = outside == mirrored
        at = np.abs(np.where(bins[chosen] > last, 2 * last - bins[chosen], bins[chosen]))
        order = np.argsort(at, kind="stable")
        at, which, weight = at[order], coefficient[chosen][order], weights[chosen][order]
        rank = np.arange(len(at)) - np.searchsorted(at, at)
        for number in range(rank.max(initial=-1) + 1):
            here, one, w = (each[rank == number] for each in (at, which, weight))
            for run in np.split(np.arange(len(here)), np.flatnonzero(np.diff(here) > GAP) + 1):
                first, end = here[run[0]], here[run[-1]] + 1
                if not mirrored and number < 2:
                    first, end = 0, count  # nearly all bins have two: no padding
                    run = np.arange(len(here))
                index, values = np.zeros(end - first, np.int32), np.zeros(end - first)
                index[here[run] - first], values[here[run] - first] = one[run], w[run]
                found.append(Gather(int(first), index, values, mirrored))
                if end - first == count:
                    break
    return tuple(found)
