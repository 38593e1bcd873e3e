"""Left and right change places."""

import numpy as np

from pipelines.mixing.ranges import drawn, is_used

ROWS = ("use",)
TOGETHER = False
changes = is_used
CHANNELS = 2


def draw(rows, probability: float = 0.5) -> np.ndarray:
    """Draw whether it is used, [source, 1]. AIMLESS swaps half of the sources too.

    Raises UserError if it is no probability.
    """
    return drawn(rows, probability)


def apply(wave: np.ndarray, values: np.ndarray, rate: int, samples: int) -> np.ndarray:
    """Reverse the channels of [channel, time]."""
    return wave[::-1]
