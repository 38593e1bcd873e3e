"""A level that moves, as if somebody rode the fader."""

import numpy as np

from pipelines.mixing.ranges import check_range, drawn, is_used
from xumx_jax.errors import UserError

ROWS = ("use", "seed")
TOGETHER = False
changes = is_used


def draw(rows, probability: float = 1.0, gain_db=(-6.0, 6.0), seconds: float = 3.0) -> np.ndarray:
    """Draw [source, 5]: whether it is used, the range of gains, seconds, a seed for the rest.

    How many ramps there are depends on the excerpt's length: at most one for each `seconds`. The
    defaults are those of AIMLESS. Raises UserError on options that make no sense.
    """
    (used,) = drawn(rows, probability).T
    check_range("gain_db", gain_db)
    if not 0 < seconds < np.inf:
        raise UserError(f"seconds is {seconds}, wanted more than 0")
    options = [np.full(len(used), value) for value in (*gain_db, seconds)]
    return np.stack([used, *options, rows["seed"]], axis=1)


def apply(wave: np.ndarray, values: np.ndarray, rate: int, samples: int) -> np.ndarray:
    """Multiply [channel, time] by ramps, straight in decibels, of which the first begins at 0."""
    places, gains_db = ramps(values, samples / rate)
    level = np.interp(np.arange(samples) / rate, places, gains_db)
    return wave * np.exp(level * (np.log(10) / 20)).astype(np.float32)


def ramps(values: np.ndarray, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Where ramps begin and end in seconds, and the gains there in dB, [ramp + 1] each.

    Shares of the time are of a Dirichlet distribution, whose parameters are uniform from 0 to 10
    (but at least 0.01, since AIMLESS's have crashed its training at 0).
    """
    _, low, high, least, seed = values
    numbers = np.random.Generator(np.random.Philox(key=int(seed * 2**53)))
    count = int(numbers.integers(1, max(1, int(seconds // least)) + 1))
    shares = numbers.dirichlet(np.maximum(numbers.uniform(0, 10, count), 0.01))
    gains_db = numbers.uniform(low, high, count)
    return np.append(0.0, shares.cumsum()) * seconds, np.append(0.0, gains_db)
