"""A mixture as loud as commercial music: gain, a limiter, and normalised loudness (LimitAug).

C.-B. Jeon, K. Lee: "Towards robust music source separation on loud commercial music", ISMIR 2022.
What happens to the mixture happens to its sources: each sample of theirs gets the gain that the
limiter gave to the mixture there. What the recipe leaves to the device (its gain, swap and
polarity) comes later; the effects of these names can come before.
"""

import numpy as np
from scipy.special import ndtri

from pipelines import loudness
from pipelines.mixing.ranges import ANY, check_range, drawn, is_used
from xumx_jax.errors import UserError

ROWS = ("use", "loudness", "release_ms")
TOGETHER = True
changes = is_used
NEEDS = ("pedalboard", "effects")
TINY = np.float32(1e-8)  # below a mixture's samples, as in AIMLESS


def draw(
    rows, probability: float = 1.0, mean_lufs: float = -10.887, deviation_lu: float = 1.191,
    target_lufs: float = -14.0, release_ms=(30.0, 200.0),
) -> np.ndarray:  # fmt: skip
    """Draw [source, 4]: whether it is used, loudness to limit at, release, loudness afterwards.

    The first loudness is of a normal distribution, that of the songs of MUSDB18 as mastered. The
    defaults are those of AIMLESS. Raises UserError on options that make no sense.
    """
    possible = {"release_ms": (0.1, 10_000)}
    used, release = drawn(rows, probability, possible, release_ms=release_ms).T
    for name, value in (("mean_lufs", mean_lufs), ("target_lufs", target_lufs)):
        check_range(name, (value, value), ANY)
    if not 0 <= deviation_lu < np.inf:
        raise UserError(f"deviation_lu is {deviation_lu}, wanted 0 or more")
    normal = ndtri(np.clip(rows["loudness"], 2.0**-53, 1 - 2.0**-53))
    loud = mean_lufs + deviation_lu * normal
    return np.stack([used, loud, release, np.full(len(used), target_lufs)], axis=1)


def apply_all(waves: np.ndarray, values: np.ndarray, rate: int) -> np.ndarray:
    """Limit the sum of [source, channel, time], and give its gains to each; silence stays."""
    from pedalboard import Limiter

    mix = waves.sum(0)
    before = loudness.integrated(mix, rate, like_pyloudnorm=True)
    if not np.isfinite(before):
        return waves
    _, loud, release_ms, target = values
    limiter = Limiter(threshold_db=0.0, release_ms=release_ms)
    limited = limiter(mix * np.float32(10 ** ((loud - before) / 20)), rate)
    after = loudness.integrated(limited, rate, like_pyloudnorm=True)
    if np.isfinite(after):
        limited *= np.float32(10 ** ((target - after) / 20))
    return waves * (np.abs(limited) / (np.abs(mix) + TINY))
