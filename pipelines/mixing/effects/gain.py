"""A gain, drawn at random."""

import numpy as np

from pipelines.mixing.ranges import drawn

ROWS = ("use", "gain")
TOGETHER = False


def draw(rows, probability: float = 1.0, gain=(0.25, 1.25)) -> np.ndarray:
    """Draw whether it is used, and the factor: [source, 2]. The defaults are those of AIMLESS.

    Raises UserError on options that make no sense.
    """
    return drawn(rows, probability, gain=gain)


def changes(values: np.ndarray) -> bool:
    """Return whether the effect changes anything."""
    return bool(values[0]) and values[1] != 1


def apply(wave: np.ndarray, values: np.ndarray, rate: int, samples: int) -> np.ndarray:
    """Multiply [channel, time]."""
    return wave * np.float32(values[1])
