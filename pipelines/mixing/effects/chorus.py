"""A chorus: the wave and a copy whose delay swings."""

import numpy as np

from pipelines.mixing.pedals import played
from pipelines.mixing.ranges import drawn, is_used

ROWS = ("use", "rate_hz", "depth", "centre_delay_ms", "feedback", "mix")
TOGETHER = False
changes = is_used
NEEDS = ("pedalboard", "effects")
POSSIBLE = {
    "rate_hz": (0, 99),
    "depth": (0, 1),
    "centre_delay_ms": (1, 99),
    "feedback": (-1, 1),
    "mix": (0, 1),
}


def draw(
    rows, probability: float = 1.0, rate_hz=(0.25, 4.0), depth=(0.0, 0.6),
    centre_delay_ms=(5.0, 10.0), feedback=(0.1, 0.6), mix=(0.1, 0.7),
) -> np.ndarray:  # fmt: skip
    """Draw [source, 6]: whether it is used, and a number of each range.

    The defaults are those of AIMLESS. Raises UserError on options that make no
    sense.
    """
    return drawn(
        rows,
        probability,
        POSSIBLE,
        rate_hz=rate_hz,
        depth=depth,
        centre_delay_ms=centre_delay_ms,
        feedback=feedback,
        mix=mix,
    )


def apply(wave: np.ndarray, values: np.ndarray, rate: int, samples: int) -> np.ndarray:
    """Add a chorus to [channel, time]."""
    return played("Chorus", wave, rate, dict(zip(ROWS[1:], values[1:], strict=True)))
