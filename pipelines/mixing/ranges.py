"""Options that are ranges, (low, high), and numbers drawn from them."""

import math


def is_range(value) -> bool:
    """Return whether these are two finite numbers, the lower one first."""
    numbers = all(isinstance(one, int | float) and math.isfinite(one) for one in value)
    return len(value) == 2 and numbers and value[0] <= value[1]


def between(limits, uniform):
    """Map numbers from 0..1 to low..high."""
    low, high = limits
    return low + (high - low) * uniform


def octaves(limits, uniform):
    """Map numbers from 0..1 to low..high, with every octave equally likely."""
    low, high = limits
    return low * (high / low) ** uniform
