"""Another place between left and right, at equal power."""

import numpy as np

from pipelines.mixing.ranges import drawn, is_used

ROWS = ("use", "pan")
TOGETHER = False
changes = is_used
CHANNELS = 2
LEVEL = 0.707  # of both channels in the middle, as AIMLESS rounds it


def draw(rows, probability: float = 1.0, pan=(-1.0, 1.0)) -> np.ndarray:
    """Draw whether it is used, and the place: [source, 2]. The defaults are those of AIMLESS.

    -1 is left alone, 0 both, 1 right alone. Raises UserError on options that make no sense.
    """
    return drawn(rows, probability, {"pan": (-1, 1)}, pan=pan)


def apply(wave: np.ndarray, values: np.ndarray, rate: int, samples: int) -> np.ndarray:
    """Weight left and right of [channel, time]: cos - sin and cos + sin of up to 45 degrees."""
    angle = values[1] * np.pi / 4
    cos, sin = np.cos(angle), np.sin(angle)
    return wave * np.float32([[LEVEL * (cos - sin)], [LEVEL * (cos + sin)]])
