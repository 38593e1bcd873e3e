"""Change pitch and tempo together, like a tape that runs faster or slower."""

import numpy as np
import soxr

from pipelines.mixing.ranges import between, check_probability
from xumx_jax.errors import UserError

ROWS = ("resample", "ratio")
TOGETHER = True  # otherwise sources of one song would drift apart


def draw(rows, probability: float = 0.5, limit: float = 0.12) -> np.ndarray:
    """Draw input samples per output sample [source]: up to `limit` above or below 1.

    1 is unchanged, above 1 is higher and faster. Raises UserError on options that make no sense.
    """
    check_probability(probability)
    if not 0 <= limit < 0.5:
        raise UserError(f"limit is {limit}, wanted 0 to 0.5")
    ratio = 1 + between((-limit, limit), rows["ratio"])
    return np.where(rows["resample"] < probability, ratio, 1.0)


def changes(ratio: float) -> bool:
    """Return whether the effect changes anything."""
    return ratio != 1


def speed(ratio: float) -> float:
    """Input samples per output sample."""
    return ratio


def input_samples(samples: int, ratio: float) -> int:
    """How many samples must be read so that `apply` can return `samples`."""
    return samples if ratio == 1 else int(np.ceil(samples * ratio)) + 8


def apply(wave: np.ndarray, ratio: float, rate: int, samples: int) -> np.ndarray:
    """Play [channel, time] `ratio` times as fast and as high, cut to `samples`.

    Cubic interpolation: it may alias a little of the top octave, which does not harm training, and
    takes half the time of np.interp.
    """
    if ratio == 1:
        return wave[:, :samples]
    return soxr.resample(wave.T, ratio, 1.0, quality="QQ")[:samples].T
