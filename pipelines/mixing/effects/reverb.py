"""Reverberation of a room."""

import numpy as np

from pipelines.mixing.pedals import played
from pipelines.mixing.ranges import drawn, is_used

ROWS = ("use", "room_size", "damping", "wet", "width")
TOGETHER = False
changes = is_used
NEEDS = ("pedalboard", "effects")
POSSIBLE = {"room_size": (0, 1), "damping": (0, 1), "wet": (0, 1), "width": (0, 1)}


def draw(
    rows, probability: float = 1.0, room_size=(0.0, 1.0), damping=(0.0, 1.0), wet=(0.0, 0.7),
    width=(0.0, 1.0),
) -> np.ndarray:  # fmt: skip
    """Draw [source, 5]: whether it is used, and a number of each range.

    The defaults are those of AIMLESS. Raises UserError on options that make no
    sense.
    """
    return drawn(
        rows, probability, POSSIBLE, room_size=room_size, damping=damping, wet=wet, width=width
    )


def apply(wave: np.ndarray, values: np.ndarray, rate: int, samples: int) -> np.ndarray:
    """Put [channel, time] into the room; the rest of its length is cut off."""
    _, room_size, damping, wet, width = values
    room = {"room_size": room_size, "damping": damping, "width": width}
    return played("Reverb", wave, rate, room | {"wet_level": wet, "dry_level": 1 - wet})
