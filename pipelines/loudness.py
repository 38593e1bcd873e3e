"""Loudness as ITU-R BS.1770-4 defines it: weighted for the ear, quiet passages left out."""

import functools

import numpy as np
from scipy.signal import sosfilt

from pipelines import biquads

BLOCK_SECONDS, STEPS = 0.4, 4  # a block begins every quarter of a block
ABSOLUTE_GATE, RELATIVE_GATE = -70.0, -10.0  # LUFS; LU below the loudness of what passes the first
OFFSET = -0.691  # so that a 997 Hz sine of full scale in one channel reads -3.01 LUFS

# The standard's tables 1 and 2, numerator and denominator at 48 kHz: the head as a rigid sphere,
# then the low frequencies that the ear hears less.
HEAD = (1.53512485958697, -2.69169618940638, 1.19839281085285, 1, -1.69065929318241,
        0.73248077421585)  # fmt: skip
LOWS = (1.0, -2.0, 1.0, 1, -1.99004745483398, 0.99007225036621)
TABLE_RATE = 48_000


def integrated(wave: np.ndarray, rate: int, like_pyloudnorm: bool = False) -> float:
    """Measure [channel, time] -> LUFS, or -inf for silence and what the gates leave out.

    All channels count alike, as left, right and centre do in the standard. What is shorter than
    0.4 s is one block. Of a longer wave, a last part that fills no block does not count.
    `like_pyloudnorm` measures as version 0.2 of that Python package does, with which others
    normalise: its weighting reads some 0.05 LU less on music, and its last block may be cut short.
    """
    if not wave.size:
        return -np.inf
    weighted = sosfilt(_weighting(rate, like_pyloudnorm), np.asarray(wave, np.float64))
    squares = np.pad(np.square(weighted).sum(0).cumsum(), (1, 0))
    block = min(BLOCK_SECONDS * rate, wave.shape[1])
    count = (wave.shape[1] - block) / (block / STEPS) + 1
    count = round(count) if like_pyloudnorm else int(count + 1e-9)
    starts = np.arange(count) / STEPS
    first, last = ((block * edge).astype(int) for edge in (starts, starts + 1))
    power = (squares[np.minimum(last, wave.shape[1])] - squares[first]) / block

    gate = 10 ** ((ABSOLUTE_GATE - OFFSET) / 10)
    loud = power[power >= gate]
    if loud.size:
        loud = loud[loud > loud.mean() * 10 ** (RELATIVE_GATE / 10)]
    return OFFSET + 10 * float(np.log10(loud.mean())) if loud.size else -np.inf


@functools.lru_cache(maxsize=8)
def _weighting(rate, like_pyloudnorm):
    """The two sections of the weighting at this rate, [2, 6]."""
    if like_pyloudnorm:  # its corners, qualities and gain
        shelf = biquads.high_shelf(rate, 1500.0, 0.5**0.5, 4.0)
        return np.stack([shelf, biquads.high_pass(rate, 38.0, 0.5)])
    return np.stack([_at_rate(np.array(section), rate) for section in (HEAD, LOWS)])


def _at_rate(section, rate):
    """Give a section of the tables another rate, its corner in Hz unchanged."""
    numerator, denominator = _analogue(section[:3]), _analogue(section[3:])
    corner = np.sqrt(denominator[0] / denominator[2])  # tan(pi hz / rate)
    ratio = corner / np.tan(np.arctan(corner) * TABLE_RATE / rate)
    powers = ratio ** np.arange(3)
    numerator, denominator = _analogue(numerator * powers), _analogue(denominator * powers)
    return np.concatenate([numerator, denominator]) / denominator[0]


def _analogue(taps):
    """Put 1/z = (1 - s) / (1 + s) into a polynomial; the way back is the same but for a factor."""
    first, second, third = taps
    return np.array([first + second + third, 2 * (first - third), first - second + third])
