"""A limiter, which makes music louder: compression, gain to make up for it, clipping at 1."""

import numpy as np

from pipelines.mixing.pedals import played
from pipelines.mixing.ranges import drawn, is_used

ROWS = ("use", "threshold_db", "release_ms")
TOGETHER = False
changes = is_used
NEEDS = ("pedalboard", "effects")
POSSIBLE = {"threshold_db": (-100, 0), "release_ms": (0.1, 10_000)}


def draw(
    rows, probability: float = 1.0, threshold_db=(-32.0, -6.0), release_ms=(10.0, 300.0),
) -> np.ndarray:  # fmt: skip
    """Draw [source, 3]: whether it is used, and a number of each range.

    The defaults are those of AIMLESS. Raises UserError on options that make no
    sense.
    """
    return drawn(rows, probability, POSSIBLE, threshold_db=threshold_db, release_ms=release_ms)


def apply(wave: np.ndarray, values: np.ndarray, rate: int, samples: int) -> np.ndarray:
    """Limit [channel, time]."""
    return played("Limiter", wave, rate, dict(zip(ROWS[1:], values[1:], strict=True)))
