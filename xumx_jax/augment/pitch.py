"""Shift the pitch of stems by semitones and keep their tempo: a phase vocoder, then resampling."""

from collections.abc import Sequence
from functools import partial

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from xumx_jax.augment import selection
from xumx_jax.layers.sinc_resample import torchaudio_resample
from xumx_jax.transforms.phase_vocoder import stretch
from xumx_jax.transforms.stft import Stft

# What AIMLESS's recipes have: with 1 twice, and without -2, which is the program's default.
AIMLESS_SEMITONES = (-1, 1, 0, 1, 2)


def pitch(
    stems: Array,
    key,
    *,
    probability: float = 0.2,
    semitones: Sequence[float] = AIMLESS_SEMITONES,
    n_fft: int = 2048,
    hop: int = 512,
) -> Array:
    """Shift each chosen stem by one of so many semitones, rounded to 2 % of its frequency.

    AIMLESS's `RandomPitch`. Values that are there twice are twice as probable. Raises ValueError
    for transforms that `Stft` refuses and for shifts of more than two octaves.
    """
    if any(not abs(one) <= 24 for one in semitones):
        raise ValueError(f"semitones is {tuple(semitones)}, wanted -24 to 24")
    stft = Stft(n_fft, hop)
    drawn = selection.draw(key, stems.shape[0], probability, len(semitones))
    different = sorted({per_cent(one) for one in semitones})
    place = jnp.array([different.index(per_cent(one)) for one in semitones])
    ways = jnp.where(drawn < 0, drawn, place[drawn])
    change = selection.one_of([partial(shifted, stft=stft, percent=one) for one in different])
    return selection.changed(stems, ways, change)


def per_cent(semitones: float) -> int:
    """The frequency after a shift, in per cent of that before, rounded as AIMLESS does: even."""
    percent = int(np.float32(100) / np.float32(2) ** np.float32(-semitones / 12))
    return percent + percent % 2


def shifted(wave: Array, stft: Stft, percent: int) -> Array:
    """Multiply the frequencies of [channel, time] by a percentage: [channel, about time].

    The length is that of whole hops, resampled.
    """
    if percent == 100:
        return wave[..., : (stft.frames(wave.shape[-1]) - 1) * stft.hop]
    slow = stft.inverse_frames(stretch(stft.forward_frames(wave), 100 / percent))
    return torchaudio_resample(slow, percent, 100)
