"""Shift the pitch of stems by semitones and keep their tempo: a phase vocoder, then resampling."""

from collections.abc import Sequence
from functools import partial

import jax.numpy as jnp
import numpy as np
from jax import Array

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
    """Shift each chosen stem by one of several intervals, in semitones; the tempo stays.

    AIMLESS's `RandomPitch`, which rounds the ratio of frequencies to an even percentage. A value
    that is there twice is twice as probable. Raises ValueError for a transform that `Stft` refuses,
    for stems shorter than its frames and for more than two octaves.
    """
    if any(not abs(one) <= 24 for one in semitones):
        raise ValueError(f"semitones is {tuple(semitones)}, wanted -24 to 24")
    stft = Stft(n_fft, hop)
    if stems.shape[-1] < n_fft:
        raise ValueError(f"n_fft is {n_fft}, wanted at most {stems.shape[-1]}, an example's length")
    drawn = selection.draw(key, stems.shape[0], probability, len(semitones))
    different = sorted({frequency_percent(one) for one in semitones})
    place = jnp.array([different.index(frequency_percent(one)) for one in semitones])
    ways = jnp.where(drawn < 0, drawn, place[drawn])
    change = selection.one_of([partial(shifted, stft=stft, percent=one) for one in different])
    return selection.changed(stems, ways, change)


def frequency_percent(semitones: float) -> int:
    """The frequency after a shift in per cent of that before: rounded down, and up if odd."""
    percent = int(np.float32(100) / np.float32(2) ** np.float32(-semitones / 12))
    return percent + percent % 2


def tempo(percent: int) -> float:
    """100 / percent, as PyTorch rounds it: the phase vocoder's time grid depends on it."""
    return float(np.float32(1) / np.float32(percent) * np.float32(100))


def shifted(wave: Array, stft: Stft, percent: int) -> Array:
    """Multiply the frequencies of [channel, time] by a percentage: [channel, about time].

    Stretched by a phase vocoder, in which a part of a hop at the end is lost, and resampled.
    """
    if percent == 100:
        return wave[..., : (stft.frames(wave.shape[-1]) - 1) * stft.hop]
    slow = stft.inverse_frames(stretch(stft.forward_frames(wave), tempo(percent)))
    return torchaudio_resample(slow, percent, 100)
