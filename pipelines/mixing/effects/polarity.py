"""Inverted polarity."""

import numpy as np

from pipelines.mixing.ranges import drawn, is_used

ROWS = ("use",)
TOGETHER = False
changes = is_used


def draw(rows, probability: float = 0.5) -> np.ndarray:
    """Draw whether it is used, [source, 1]. AIMLESS inverts half of the sources too.

    Raises UserError if it is no probability.
    """
    return drawn(rows, probability)


def apply(wave: np.ndarray, values: np.ndarray, rate: int, samples: int) -> np.ndarray:
    """Invert [channel, time]."""
    return -wave
