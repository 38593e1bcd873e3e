"""A compressor: loud passages get less gain."""

import numpy as np

from pipelines.mixing.pedals import played
from pipelines.mixing.ranges import drawn, is_used

ROWS = ("use", "threshold_db", "ratio", "attack_ms", "release_ms")
TOGETHER = False
changes = is_used
NEEDS = ("pedalboard", "effects")
POSSIBLE = {
    "threshold_db": (-200, 20),
    "ratio": (1, 1000),
    "attack_ms": (0.01, 10_000),
    "release_ms": (0.01, 10_000),
}


def draw(
    rows, probability: float = 1.0, threshold_db=(-42.0, -6.0), ratio=(1.5, 4.0),
    attack_ms=(1.0, 50.0), release_ms=(10.0, 250.0),
) -> np.ndarray:  # fmt: skip
    """Draw [source, 5]: whether it is used, and a number of each range.

    The defaults are those of AIMLESS. Raises UserError on options that make no
    sense.
    """
    return drawn(
        rows,
        probability,
        POSSIBLE,
        threshold_db=threshold_db,
        ratio=ratio,
        attack_ms=attack_ms,
        release_ms=release_ms,
    )


def apply(wave: np.ndarray, values: np.ndarray, rate: int, samples: int) -> np.ndarray:
    """Compress [channel, time]."""
    return played("Compressor", wave, rate, dict(zip(ROWS[1:], values[1:], strict=True)))
