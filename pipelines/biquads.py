"""Second-order filter sections of equalisers, as rows for `scipy.signal.sosfilt`.

The formulas are those of Robert Bristow-Johnson, "Cookbook formulae for audio equalizer biquad
filter coefficients" (W3C note, 2021). `hz` is the corner (of a shelf, where the gain in dB is half
of it) or the centre, `q` the quality.
"""

import numpy as np


def low_shelf(rate: float, hz: float, q: float, gain_db: float) -> np.ndarray:
    """Gain below `hz` -> [6]: three taps of the numerator, three of the denominator, a0 = 1."""
    return _shelf(rate, hz, q, gain_db, 1)


def high_shelf(rate: float, hz: float, q: float, gain_db: float) -> np.ndarray:
    """Gain above `hz` -> [6], as `low_shelf`."""
    return _shelf(rate, hz, q, gain_db, -1)


def peaking(rate: float, hz: float, q: float, gain_db: float) -> np.ndarray:
    """Gain around `hz` -> [6], as `low_shelf`."""
    root, (cos, alpha) = 10 ** (gain_db / 40), _angle(rate, hz, q)
    above = [1 + alpha * root, -2 * cos, 1 - alpha * root]
    return _normalized(above, [1 + alpha / root, -2 * cos, 1 - alpha / root])


def high_pass(rate: float, hz: float, q: float) -> np.ndarray:
    """Nothing far below `hz`, gain 1 far above -> [6], as `low_shelf`."""
    cos, alpha = _angle(rate, hz, q)
    above = [(1 + cos) / 2, -(1 + cos), (1 + cos) / 2]
    return _normalized(above, [1 + alpha, -2 * cos, 1 - alpha])


def _shelf(rate, hz, q, gain_db, side):
    # `side` is 1 for low, -1 for high: the high shelf is the low one with frequencies mirrored.
    root, (cos, alpha) = 10 ** (gain_db / 40), _angle(rate, hz, q)
    cos, slope = side * cos, 2 * np.sqrt(root) * alpha
    more, less = root + 1, root - 1
    above = [
        root * (more - less * cos + slope),
        side * 2 * root * (less - more * cos),
        root * (more - less * cos - slope),
    ]
    below = [
        more + less * cos + slope,
        side * -2 * (less + more * cos),
        more + less * cos - slope,
    ]
    return _normalized(above, below)


def _angle(rate, hz, q):
    angle = 2 * np.pi * hz / rate
    return np.cos(angle), np.sin(angle) / (2 * q)


def _normalized(above, below):
    return np.array([*above, *below]) / below[0]
