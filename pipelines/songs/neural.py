"""A fifth voice for the words: a small neural one, which also has to say where its phones are.

`hibari-tts` (Apache 2.0, weights in its package) speaks, and tells no times. So flite says the word
too, and the two are aligned by dynamic time warping of their spectra (Sakoe and Chiba 1978): a
phone of the neural voice ends where flite's does.
"""

from functools import lru_cache

import numpy as np

NAME = "heart"
LIKE = "slt"  # the flite voice it is aligned with, a woman's as well
BANDS = 24
HOP_SECONDS = 0.005
HURRY = 0.5

try:
    import hibari
except ImportError:  # the words of flite's voices need none
    hibari = None


@lru_cache(maxsize=1)
def _voice():
    return hibari.Hibari()


def features(wave: np.ndarray, rate: int) -> np.ndarray:
    """[frame, band]: log magnitudes of 25 ms windows every 5 ms, each band less its mean."""
    size, hop = round(0.025 * rate), round(HOP_SECONDS * rate)
    wave = np.pad(wave, size // 2)
    starts = range(0, max(1, len(wave) - size), hop)
    frames = np.stack([wave[s : s + size] for s in starts]) * np.hanning(size)
    power = np.abs(np.fft.rfft(frames)) ** 2
    edges = np.geomspace(100, 0.45 * rate, BANDS + 1) * size / rate
    edges = np.maximum.accumulate(np.round(edges).astype(int))
    bands = np.stack([power[:, a : max(a + 1, b)].mean(1)
                      for a, b in zip(edges[:-1], edges[1:], strict=True)], 1)  # fmt: skip
    bands = np.log(bands + 1e-4 * bands.max())
    return bands - bands.mean(0)


def align(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """For each frame of `first` [frame, band] the frame of `second` that it goes with, rising."""
    cost = ((first[:, None] - second[None]) ** 2).sum(-1)
    toll = HURRY * float(np.median(cost))  # for standing still in either
    total = np.full((len(first) + 1, len(second) + 1), np.inf)
    total[0, 0] = 0
    for i, row in enumerate(cost, 1):
        for j, value in enumerate(row, 1):
            wait = toll + min(total[i - 1, j], total[i, j - 1])
            total[i, j] = value + min(total[i - 1, j - 1], wait)
    i, j = len(first), len(second)
    match = np.zeros(len(first), int)
    while i and j:
        match[i - 1] = j - 1
        straight = total[i - 1, j - 1] <= toll + min(total[i - 1, j], total[i, j - 1])
        if straight or total[i - 1, j] < total[i, j - 1]:
            i, j = i - 1, j - straight
        else:
            j -= 1
    return match


def speak(text: str, spoken: np.ndarray, segments: list, rate: int) -> tuple:
    """A word as `wordbank.speak` gives it, from what flite made of it at the same `rate`."""
    import soxr

    voice = _voice()
    wave = soxr.resample(voice(text, seed=0), voice.sample_rate, rate)
    match = align(features(spoken, rate), features(wave, rate))
    ends = [match[min(len(match) - 1, round(end / HOP_SECONDS))] * HOP_SECONDS
            for _, end in segments]  # fmt: skip
    return wave, [(name, float(end)) for (name, _), end in zip(segments, ends, strict=True)]
