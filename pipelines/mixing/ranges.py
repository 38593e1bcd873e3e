"""Options that are ranges, (low, high), and what uniform numbers become in them."""

import math


def is_range(value) -> bool:
    """Whether these are two finite numbers, the lower first."""
    numbers = all(isinstance(one, int | float) and math.isfinite(one) for one in value)
    return len(value) == 2 and numbers and value[0] <= value[1]


def between(limits, uniform):
    """Numbers from 0 to 1 -> from low to high."""
    low, high = limits
    return low + (high - low) * uniform


def octaves(limits, uniform):
    """Numbers from 0 to 1 -> from low to high, an octave being as likely as another."""
    low, high = limits
    return low * (high / low) ** uniform
