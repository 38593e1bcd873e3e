"""A phaser: notches that move through the spectrum."""

import numpy as np

from pipelines.mixing.pedals import played
from pipelines.mixing.ranges import drawn, is_used

ROWS = ("use", "rate_hz", "depth", "centre_frequency_hz", "feedback", "mix")
TOGETHER = False
changes = is_used
NEEDS = ("pedalboard", "effects")
POSSIBLE = {
    "rate_hz": (0, 99),
    "depth": (0, 1),
    "centre_frequency_hz": (20, 20_000),
    "feedback": (-1, 1),
    "mix": (0, 1),
}


def draw(
    rows, probability: float = 1.0, rate_hz=(0.25, 5.0), depth=(0.1, 0.6),
    centre_frequency_hz=(200.0, 200.0), feedback=(0.1, 0.6), mix=(0.1, 0.7),
) -> np.ndarray:  # fmt: skip
    """Draw [source, 6]: whether it is used, and a number of each range.

    The defaults are what AIMLESS does: its centre is meant to be 200 to 600 Hz, but always 200.
    Raises UserError on options that make no sense.
    """
    return drawn(
        rows,
        probability,
        POSSIBLE,
        rate_hz=rate_hz,
        depth=depth,
        centre_frequency_hz=centre_frequency_hz,
        feedback=feedback,
        mix=mix,
    )


def apply(wave: np.ndarray, values: np.ndarray, rate: int, samples: int) -> np.ndarray:
    """Add a phaser to [channel, time]."""
    return played("Phaser", wave, rate, dict(zip(ROWS[1:], values[1:], strict=True)))
