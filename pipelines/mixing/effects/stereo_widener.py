"""More or less difference between left and right."""

import numpy as np

from pipelines.mixing.ranges import drawn

ROWS = ("use", "width")
TOGETHER = False
CHANNELS = 2


def draw(rows, probability: float = 1.0, width=(0.0, 1.0)) -> np.ndarray:
    """Draw whether it is used, and the width: [source, 2]. The defaults are those of AIMLESS.

    0 is mono, 0.5 as it was, 1 the difference alone. Raises UserError on options that make no
    sense.
    """
    return drawn(rows, probability, {"width": (0, 1)}, width=width)


def changes(values: np.ndarray) -> bool:
    """Return whether the effect changes anything."""
    return bool(values[0]) and values[1] != 0.5


def apply(wave: np.ndarray, values: np.ndarray, rate: int, samples: int) -> np.ndarray:
    """Weight the sum of left and right by 1 - width, and their difference by width."""
    middle = np.float32(1 - values[1]) * (wave[0] + wave[1])
    side = np.float32(values[1]) * (wave[0] - wave[1])
    return np.stack([middle + side, middle - side])
