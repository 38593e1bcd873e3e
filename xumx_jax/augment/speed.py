"""Play stems faster or slower, and with that higher or lower, as a record player does."""

from collections.abc import Sequence
from functools import partial

from jax import Array

from xumx_jax.augment import selection
from xumx_jax.layers.sinc_resample import torchaudio_resample


def speed(
    stems: Array, key, *, probability: float = 0.2, length_percent: Sequence[int] = (90, 100, 110)
) -> Array:
    """Resample each chosen stem to one of so many per cent of its samples: 90 is faster, 110 slower.

    AIMLESS's `SpeedPerturb`: 44,100 Hz there and back at s % of it, for any rate a ratio of s : 100.
    Raises ValueError unless all are whole numbers from 1 on.
    """
    if any(one < 1 or one != int(one) for one in length_percent):
        raise ValueError(f"length_percent is {tuple(length_percent)}, wanted whole numbers from 1 on")
    ways = selection.draw(key, stems.shape[0], probability, len(length_percent))
    resamplers = [partial(torchaudio_resample, old=100, new=int(one)) for one in length_percent]
    return selection.changed(stems, ways, selection.one_of(resamplers))
