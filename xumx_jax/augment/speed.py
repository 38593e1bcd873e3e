"""Play stems faster or slower, and with that higher or lower, as a turntable does."""

from collections.abc import Sequence
from functools import partial

from jax import Array

from xumx_jax.augment import selection
from xumx_jax.layers.sinc_resample import torchaudio_resample


def speed(
    stems: Array, key, *, probability: float = 0.2, length_percent: Sequence[int] = (90, 100, 110)
) -> Array:
    """Resample each chosen stem to a percentage of its length: with 90 it is faster and higher.

    AIMLESS's `SpeedPerturb`, in which a length is called a speed; the same at every rate that is a
    multiple of 100 Hz. Raises ValueError unless all are whole numbers from 1 on.
    """
    if any(one < 1 or one != int(one) for one in length_percent):
        wanted = "wanted whole numbers, 1 or more"
        raise ValueError(f"length_percent is {tuple(length_percent)}, {wanted}")
    ways = selection.draw(key, stems.shape[0], probability, len(length_percent))
    resamplers = [partial(torchaudio_resample, old=100, new=int(one)) for one in length_percent]
    return selection.changed(stems, ways, selection.one_of(resamplers))
