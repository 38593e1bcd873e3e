"""A low and a high shelving filter: bass and treble controls, set at random."""

import numpy as np
from scipy.signal import sosfilt

from pipelines.mixing.ranges import between, check_probability, check_range, is_range, octaves
from xumx_jax.errors import UserError

ROWS = ("shelf", "low_db", "high_db", "low_hz", "high_hz")
TOGETHER = False  # each source gets its own filter

# On digital silence recursive filters fade into denormal numbers, which are slow; -240 dB is not.
FLOOR = np.float32(1e-12)


def draw(
    rows, probability: float = 0.5, gain_db=(-6.0, 6.0), low_hz=(80.0, 400.0),
    high_hz=(1500.0, 6000.0),
) -> np.ndarray:  # fmt: skip
    """Draw low corner in Hz, gain in dB below it, high corner, gain above it: [source, 4].

    Gains are drawn uniformly in dB, corners in octaves. 0 dB twice means no filter. Raises
    UserError on options that make no sense.
    """
    check_probability(probability)
    check_range("gain_db", gain_db)
    for name, corners in (("low_hz", low_hz), ("high_hz", high_hz)):
        if not is_range(corners) or corners[0] <= 0:
            raise UserError(f"{name} is {corners}, wanted two numbers above 0, (low, high)")
    shelves = np.stack(
        [
            octaves(low_hz, rows["low_hz"]),
            between(gain_db, rows["low_db"]),
            octaves(high_hz, rows["high_hz"]),
            between(gain_db, rows["high_db"]),
        ],
        axis=1,
    )
    return np.where((rows["shelf"] < probability)[:, None], shelves, 0.0)


def changes(shelves: np.ndarray) -> bool:
    """Return whether the effect changes anything."""
    return bool(shelves.any())


def apply(wave: np.ndarray, shelves: np.ndarray, rate: int, samples: int) -> np.ndarray:
    """Filter [channel, time] by both shelves (first order each, one biquad together).

    `shelves` is low corner in Hz, gain in dB below it, high corner in Hz, gain in dB above it. The
    length does not change: `samples` is that of the excerpt.
    """
    low_hz, low_db, high_hz, high_db = shelves
    if (low_db == 0 and high_db == 0) or not wave.any():
        return wave
    section = np.concatenate(shelf_section(rate, low_hz, low_db, high_hz, high_db))[None]
    frames = np.ascontiguousarray(wave.T, np.float32)
    if frames.shape[1] == 2:  # both channels in one pass, as one complex signal
        packed = frames.view(np.complex64)[:, 0]
        filtered = sosfilt(section.astype(np.complex64), packed + FLOOR * np.complex64(1 + 1j))
        return filtered.view(np.float32).reshape(-1, 2).T
    return sosfilt(section.astype(np.float32), frames + FLOOR, axis=0).T


def shelf_section(rate, low_hz, low_db, high_hz, high_db):
    """Numerator and denominator, three taps each, of both shelves in series.

    Analogue prototypes (s + sqrt g) / (s + 1 / sqrt g) below and (s sqrt g + 1) / (s / sqrt g + 1)
    above the corner, through the bilinear transform; g is the gain at the far end.
    """
    # (a s + b) becomes (a + b t) + (b t - a) / z, with t the corner after frequency warping
    low_hz, high_hz = np.minimum((low_hz, high_hz), 0.45 * rate)
    t, root = np.tan(np.pi * low_hz / rate), 10 ** (low_db / 40)
    above, below = (1 + root * t, root * t - 1), (1 + t / root, t / root - 1)
    t, root = np.tan(np.pi * high_hz / rate), 10 ** (high_db / 40)
    numerator = np.convolve(above, (root + t, t - root))
    denominator = np.convolve(below, (1 / root + t, t - 1 / root))
    return numerator / denominator[0], denominator / denominator[0]
