"""The same loudness for every source."""

import numpy as np

from pipelines import loudness
from pipelines.mixing.ranges import drawn, is_used
from xumx_jax.errors import UserError

ROWS = ("use",)
TOGETHER = False
changes = is_used


def draw(
    rows, probability: float = 1.0, target_lufs: float = -32.0, most_db: float = 40.0
) -> np.ndarray:
    """Draw [source, 3]: whether it is used; the options. The defaults are those of AIMLESS.

    `most_db` is the largest gain. Raises UserError on options that make no sense.
    """
    (used,) = drawn(rows, probability).T
    for name, value in (("target_lufs", target_lufs), ("most_db", most_db)):
        if not np.isfinite(value):
            raise UserError(f"{name} is {value}, wanted a number")
    return np.stack([used, *(np.full(len(used), x) for x in (target_lufs, most_db))], axis=1)


def apply(wave: np.ndarray, values: np.ndarray, rate: int, samples: int) -> np.ndarray:
    """Scale [channel, time] to the loudness, measured as pyloudnorm does.

    What has none (silence, anything below -70 LUFS) stays as it is; AIMLESS raises it by 40 dB.
    """
    found = loudness.integrated(wave, rate, like_pyloudnorm=True)
    if not np.isfinite(found):
        return wave
    return wave * np.float32(10 ** (min(values[1] - found, values[2]) / 20))
