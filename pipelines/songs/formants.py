"""The plain voice: harmonics under moving vowel formants, with bursts of noise for consonants."""

import numpy as np

from . import recordings, singing
from .score import stream

# F1..F4 [Hz] of an adult; the bandwidths grow with the formants
VOWELS = {
    "a": (730, 1150, 2500, 3500), "e": (530, 1840, 2480, 3500), "i": (280, 2250, 2950, 3600),
    "o": (480, 900, 2400, 3300), "u": (320, 850, 2250, 3300), "@": (520, 1400, 2450, 3400),
}  # fmt: skip
NOISY = {"s": 6500, "z": 6000, "f": 4500, "h": 1800, "t": 4000, "k": 2500, "c": 3500, "p": 1500}


def _vowel(word: str, syllable: int) -> str:
    found = [letter for letter in word.replace("y", "i") if letter in "aeiou"] or ["@"]
    return found[min(syllable, len(found) - 1)]


def sing(layer: dict, notes: list, samples: int, rate: int, seed: int, name: str) -> np.ndarray:
    """Sings timed syllables (seconds) -> [time], one note after the other."""
    out = np.zeros(samples + rate, np.float32)
    who = layer["singer"]
    rng = stream(seed, "sing", name)
    for note in notes:
        length = int(note.length * rate)
        if length < 64 or note.start * rate >= samples:
            continue
        frames = int(note.length / singing.FRAME_SECONDS) + 2
        line = singing.pitch_line([note._replace(start=0.0)], frames, who, rng)
        at = np.arange(length) / rate
        hz = 440 * 2 ** ((np.interp(at, np.arange(frames) * singing.FRAME_SECONDS, line) - 69) / 12)
        phase = 2 * np.pi * np.cumsum(hz) / rate
        count = int(min(40, 0.45 * rate / hz.max(), 7000 / hz.mean()))
        target = np.array(VOWELS[_vowel(note.word, note.syllable)]) * who["warp"]
        neutral = np.array(VOWELS["@"]) * who["warp"]
        # Two spectra, start and middle of the vowel, blended over 80 ms.
        harmonic = np.arange(1, count + 1)[:, None] * hz.mean()
        blend = np.clip(at / 0.08, 0, 1)

        def spectrum(formants, harmonic=harmonic):
            width = 60 + 0.05 * formants
            peaks = 1 / (1 + ((harmonic - formants) / width) ** 2)
            return (peaks * np.array([1.0, 0.6, 0.35, 0.25])).sum(1) + 0.01

        early, late = spectrum(neutral), spectrum(target)
        wave = np.zeros(length)
        for index in range(count):
            gain = early[index] * (1 - blend) + late[index] * blend
            wave += gain / (index + 1) ** 0.5 * np.sin((index + 1) * phase)
        wave += who["breath"] * 0.2 * rng.standard_normal(length) * np.abs(wave).max()
        wave *= np.minimum(1, at / 0.03) * np.minimum(1, (note.length - at) / 0.05)
        start = int(note.start * rate)
        # the last note may reach beyond the end
        recordings.add(out, (wave * note.velocity).astype(np.float32), start)
        first = note.word[0]
        if note.syllable == 0 and first in NOISY:
            burst = int((0.09 if first in "szfh" else 0.03) * rate)
            noise = rng.standard_normal(burst) * np.hanning(burst)
            carrier = np.cos(2 * np.pi * NOISY[first] * np.arange(burst) / rate)
            begin = max(0, start - burst)
            out[begin : begin + burst] += (0.35 * noise * carrier).astype(np.float32)
    return out[:samples]
