"""Echoes, each fainter than the one before."""

import numpy as np

from pipelines.mixing.ranges import drawn, is_used

ROWS = ("use", "seconds", "feedback", "mix")
TOGETHER = False
changes = is_used
POSSIBLE = {"seconds": (0.001, 30), "feedback": (0, 1), "mix": (0, 1)}


def draw(
    rows, probability: float = 1.0, seconds=(0.1, 1.0), feedback=(0.05, 0.6), mix=(0.0, 0.7)
) -> np.ndarray:
    """Draw [source, 4]: whether it is used, the delay, feedback (a factor), share of echoes.

    The delay is drawn uniformly in octaves. The defaults are those of AIMLESS. Raises UserError on
    options that make no sense.
    """
    return drawn(
        rows, probability, POSSIBLE, ("seconds",), seconds=seconds, feedback=feedback, mix=mix
    )


def apply(wave: np.ndarray, values: np.ndarray, rate: int, samples: int) -> np.ndarray:
    """Add echoes to [channel, time] and lower the rest, as pedalboard's Delay, to the bit.

    The delay is cut to whole samples, after seconds have been rounded to float32 as there.
    """
    seconds, feedback, mix = np.float32(values[1:])
    step = int(float(seconds) * rate)
    echoes = np.zeros(wave.shape, np.float32)
    for start in range(step, samples, step):
        stop = min(start + step, samples)
        before = slice(start - step, stop - step)
        echoes[:, start:stop] = wave[:, before] + feedback * echoes[:, before]
    return wave * (1 - mix) + echoes * mix
