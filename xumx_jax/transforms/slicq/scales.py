"""Frequency scales of a sliCQ transform: centre frequencies and quality factors, in float64.

A scale is a function (bins, low_hz, high_hz, gamma_hz) -> (centres in hertz, quality factors). The
order of operations is that of the nsgt package of Grill and Holighaus, since the last centre falls
on the Nyquist frequency up to rounding, and whether it is kept depends on that.
"""

from collections.abc import Callable

import numpy as np

Centres = Callable[[np.ndarray], np.ndarray]
Scale = Callable[[int, float, float, float], tuple[np.ndarray, np.ndarray]]
STEP = 1e-8  # of the difference that stands for a derivative, in bins


def by_difference(centres: Centres, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Quality factors from how far apart the centres are: f / (df per bin) / 2."""
    at = np.arange(bins)
    hertz = centres(at)
    return hertz, hertz * STEP / (centres(at + STEP) - centres(at - STEP))


def bark(bins: int, low_hz: float, high_hz: float, gamma_hz: float = 0.0):
    """Equal steps of 6 asinh(f / 600) (Wang, Sekey and Gersho 1992)."""
    low, high = 6 * np.arcsinh(np.array([low_hz, high_hz]) / 600)
    step = (high - low) / (bins - 1)
    return by_difference(lambda at: 600 * np.sinh((low + at * step) / 6), bins)


def mel(bins: int, low_hz: float, high_hz: float, gamma_hz: float = 0.0):
    """Equal steps of 2595 log10(1 + f / 700) (O'Shaughnessy 1987)."""
    low, high = 2595 * np.log10(1 + np.array([low_hz, high_hz]) / 700)
    step = (high - low) / (bins - 1)
    return by_difference(lambda at: 700 * (10 ** ((low + at * step) / 2595) - 1), bins)


def constant_q(bins: int, low_hz: float, high_hz: float, gamma_hz: float = 0.0):
    """Equal ratios from `low_hz` to `high_hz`; all quality factors are equal."""
    ratio = _ratio(bins, low_hz, high_hz)
    hertz = low_hz * ratio ** np.arange(bins)
    return hertz, np.full(bins, np.sqrt(ratio) / (ratio - 1) / 2)


def octave(bins: int, low_hz: float, high_hz: float, gamma_hz: float = 0.0):
    """As `constant_q`, `bins` being those of an octave."""
    count = int(np.ceil(np.log2(high_hz / low_hz) * bins)) + 1
    return constant_q(count, low_hz, high_hz)


def variable_q(bins: int, low_hz: float, high_hz: float, gamma_hz: float):
    """As `constant_q`, but `gamma_hz` is added to all centres: the lowest bands get wider."""
    ratio = _ratio(bins, low_hz, high_hz)
    return by_difference(lambda at: low_hz * ratio**at + gamma_hz, bins)


def linear(bins: int, low_hz: float, high_hz: float, gamma_hz: float = 0.0):
    """Equal steps in hertz."""
    step = (high_hz - low_hz) / (bins - 1)
    hertz = low_hz + np.arange(bins) * step
    return hertz, hertz / (2 * step)


def _ratio(bins: int, low_hz: float, high_hz: float) -> float:
    return 2 ** ((np.log2(high_hz) - np.log2(low_hz)) / (bins - 1))


SCALES: dict[str, Scale] = {
    "bark": bark,
    "mel": mel,
    "cqlog": constant_q,
    "oct": octave,
    "vqlog": variable_q,
    "linear": linear,
}
