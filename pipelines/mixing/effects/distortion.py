"""Distortion: an overdriven amplifier."""

import numpy as np

from pipelines.mixing.ranges import drawn, is_used

ROWS = ("use", "drive_db")
TOGETHER = False
changes = is_used


def draw(rows, probability: float = 1.0, drive_db=(-20.0, 12.0)) -> np.ndarray:
    """Draw whether it is used, and the gain before it: [source, 2]. AIMLESS's defaults.

    Raises UserError on options that make no sense.
    """
    return drawn(rows, probability, drive_db=drive_db)


def apply(wave: np.ndarray, values: np.ndarray, rate: int, samples: int) -> np.ndarray:
    """Take tanh of the amplified [channel, time], as pedalboard's Distortion, to rounding."""
    return np.tanh(wave * np.float32(10 ** (values[1] / 20)))
