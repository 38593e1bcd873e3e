"""Sounds that `bench/where.py` makes itself with numpy: parts to be tested, and what lies under.

All return [time] or, with a width, [channel, time], at RATE; levels are set when they are mixed.
"""

import numpy as np

from pipelines.songs import recordings

RATE = 44_100
MINOR = (0, 2, 3, 5, 7, 8, 10)
CHORDS = ((0, 3, 7), (-4, 0, 3), (3, 7, 10), (-2, 2, 5))  # semitones above the key: i VI III VII
BAR_SECONDS = 2.0
STEP_SECONDS = BAR_SECONDS / 16
# Kick, snare and hi-hat by sixteenths, in strokes from 0 to 9.
GROOVES = {
    "rock": ("9000003090900000", "0000900000009001", "7050705070507050"),
    "house": ("9000900090009000", "0000700000007000", "0080008000800080"),
    "brushes": ("5000000050000020", "0050305000503050", "5000503050005030"),
}
# F1 to F4 of the vowels a, e, i, o, u in Hz, after Peterson and Barney's and Fant's measurements.
VOWELS = ((750, 1150, 2500, 3400), (530, 1840, 2480, 3500), (300, 2250, 2950, 3500),
          (500, 880, 2450, 3300), (320, 820, 2250, 3300))  # fmt: skip


def hertz(pitch: float) -> float:
    """The frequency of a MIDI pitch."""
    return 440 * 2 ** ((pitch - 69) / 12)


def seconds(count: float) -> np.ndarray:
    """The times of so many seconds of samples."""
    return np.arange(round(count * RATE)) / RATE


def place(out: np.ndarray, wave: np.ndarray, start: float) -> None:
    """Add [..., time] to a longer wave from `start` seconds on; what is beyond its end is cut."""
    recordings.add(out, wave, round(start * RATE))


def gate(length: float, attack: float = 0.004, release: float = 0.03) -> np.ndarray:
    """An envelope of 1 that opens and closes without a click."""
    at = seconds(length)
    return np.clip(np.minimum(at / attack, (length - at) / release), 0, 1)


def harmonics(hz: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """Partials of a changing frequency [time], with gains [partial] or [partial, 1]."""
    phase = 2 * np.pi * np.cumsum(hz) / RATE
    out = np.zeros_like(hz)
    for number, gain in enumerate(gains, 1):
        if number * hz.max() < 0.45 * RATE:
            out += gain * np.sin(number * phase)
    return out


def arpeggio(rng, length: float) -> np.ndarray:
    """A sawtooth in sixteenths or eighths over four chords, plucked or held, its filter falling."""
    out = np.zeros(round(length * RATE))
    step = STEP_SECONDS * int(rng.integers(1, 3))
    key = 50 + int(rng.integers(13))
    decay = float(rng.choice((0.22, np.inf)))
    low_hz, sweep_hz = rng.uniform(600, 1500), rng.uniform(1000, 5000)
    order = rng.permutation(4)
    number = np.arange(1, 40)[:, None]
    for index in range(int(length / step)):
        chord = CHORDS[int(index * step / BAR_SECONDS) % 4]
        pitch = key + (*chord, chord[0] + 12)[order[index % 4]]
        at = seconds(1.2 * step)
        hz = np.full_like(at, hertz(pitch))
        cutoff = low_hz + sweep_hz * np.exp(-at / 0.08)
        gains = 1 / number / np.sqrt(1 + (number * hz / cutoff) ** 4)
        wave = harmonics(hz, gains) * np.exp(-at / decay) * gate(1.2 * step)
        place(out, wave, index * step)
    return out


def voices(rng, length: float, count: int, spread: float = 1.0) -> np.ndarray:
    """A choir [channel, time]: so many voices on the tones of four chords, a vowel for each."""
    out = np.zeros((2, round(length * RATE)))
    key = 57 + int(rng.integers(7))
    for index in range(count):
        side = spread * (2 * index / max(1, count - 1) - 1)
        gains = np.sqrt(np.array([(1 - side) / 2, (1 + side) / 2]))[:, None]
        late = rng.uniform(0, 0.06)
        for bar in range(int(np.ceil(length / BAR_SECONDS))):
            tone = CHORDS[bar % 4][index % 3] + 12 * (index % 6 // 3)
            at = seconds(BAR_SECONDS + 0.1)
            vibrato = rng.uniform(0.1, 0.4) * np.sin(2 * np.pi * rng.uniform(4.6, 6.2) * at)
            drift = rng.normal(0, 0.08) - rng.uniform(0, 1.0) * np.exp(-at / 0.07)  # scooped
            hz = hertz(key + tone) * 2 ** ((drift + vibrato * np.clip(at - 0.2, 0, 1)) / 12)
            vowel = np.array(VOWELS[(bar + index // 3) % 5]) * rng.uniform(0.95, 1.15)
            wave = _throat(hz, vowel) + 0.004 * rng.normal(size=len(at))
            wave *= gate(BAR_SECONDS + 0.1, 0.12, 0.2)
            place(out, gains * wave, bar * BAR_SECONDS + late)
    return out


def _throat(hz: np.ndarray, formants: np.ndarray) -> np.ndarray:
    number = np.arange(1, int(6000 / hz.mean()))
    width = 70 + 0.06 * formants
    partial = number[:, None] * hz.mean()
    peaks = 1 / np.sqrt(1 + ((partial - formants) / width) ** 2)
    return harmonics(hz, (peaks * (1, 0.6, 0.3, 0.2)).sum(1) / number)


def piano(rng, length: float) -> np.ndarray:
    """Struck strings, slightly inharmonic, two octaves of broken chords from 80 Hz up."""
    out = np.zeros(round(length * RATE))
    key, step = 40 + int(rng.integers(6)), BAR_SECONDS / 4
    for index in range(int(length / step)):
        chord = CHORDS[index // 4 % 4]
        tones = chord if index % 4 == 0 else (chord[index % 3] + 12,)
        for tone in tones:
            at, hz = seconds(1.6), hertz(key + tone)
            wave = np.zeros_like(at)
            for number in range(1, min(24, int(8000 / hz))):
                partial = hz * number * np.sqrt(1 + 4e-4 * number**2)
                decay = 1.1 / (1 + 0.12 * number)
                for detune in (-0.2, 0.2):
                    angle = 2 * np.pi * (partial + detune) * at + rng.uniform(0, 6)
                    wave += np.exp(-at / decay) * np.sin(angle) / number**1.3
            place(out, wave * gate(1.6), index * step + rng.uniform(0, 0.01))
    return out


def sub(rng, length: float, note: float, hz: float = 48.0) -> np.ndarray:
    """Sub-bass in notes of so many seconds: nearly pure tones of `hz`, or a whole tone off."""
    out = np.zeros(round(length * RATE))
    start = 0.0
    while start + note < length:
        at = seconds(note)
        pitch = hz * 2 ** (int(rng.choice((0, 0, 0, 2, -2))) / 12)
        wave = np.sin(2 * np.pi * pitch * at) + 0.06 * np.sin(4 * np.pi * pitch * at)
        place(out, wave * gate(note, 0.006, 0.02), start)
        start += max(note + 0.02, BAR_SECONDS / 8 * np.ceil((note + 0.05) / (BAR_SECONDS / 8)))
    return out


def drums(rng, length: float, groove: str, kick_seconds: float = 0.12) -> np.ndarray:
    """A kit of numpy: falling sine, noise with a body, bright noise; brushes sweep and hardly hit.

    `kick_seconds` is in how long a kick falls to 1/e; above a quarter of a second it rings.
    """
    out = np.zeros(round(length * RATE))
    soft = groove == "brushes"
    top, end = rng.uniform(110, 180), rng.uniform(46, 60)
    for row, sound in zip(GROOVES[groove], ("kick", "snare", "hat"), strict=True):
        for index in range(int(length / STEP_SECONDS)):
            level = (int(row[index % 16]) / 9) ** 1.5
            if level:
                wave = level * _stroke(rng, sound, soft, kick_seconds, top, end)
                place(out, wave, index * STEP_SECONDS + rng.uniform(0, 0.006))
    return out


def _stroke(rng, sound: str, soft: bool, kick_seconds: float, top: float, end: float):
    if sound == "kick":
        at = seconds(5 * kick_seconds)
        hz = end + (top - end) * np.exp(-at / 0.025)
        click = 0 if soft else 0.25 * rng.normal(size=len(at)) * np.exp(-at / 0.003)
        return np.sin(2 * np.pi * np.cumsum(hz) / RATE) * np.exp(-at / kick_seconds) + click
    at = seconds(0.5)
    noise = rng.normal(size=len(at))
    bright = np.diff(noise, 2, append=[0, 0]) / 2.4
    if sound == "hat":
        return (0.08 if soft else 0.15) * bright * np.exp(-at / 0.035)
    if soft:  # a sweep of the brush, slow in and out
        dull = np.convolve(noise, np.ones(6) / 6, "same")
        return 0.5 * dull * np.minimum(at / 0.06, 1) * np.exp(-at / 0.12)
    body = np.sin(2 * np.pi * np.cumsum(180 + 120 * np.exp(-at / 0.02)) / RATE)
    return 0.6 * body * np.exp(-at / 0.07) + 0.2 * (noise + bright) * np.exp(-at / 0.09)


def bassline(rng, length: float) -> np.ndarray:
    """A plucked bass of numpy in eighths, under the chords of the others."""
    out = np.zeros(round(length * RATE))
    step, key = BAR_SECONDS / 8, 33 + int(rng.integers(7))
    number = np.arange(1, 20)[:, None]
    for index in range(int(length / step)):
        at = seconds(step)
        hz = np.full_like(at, hertz(key + CHORDS[index // 8 % 4][0] % 12))
        gains = 1 / number / np.sqrt(1 + (number * hz / (300 + 900 * np.exp(-at / 0.06))) ** 4)
        place(out, harmonics(hz, gains) * gate(step) * np.exp(-at / 0.5), index * step)
    return out


def pad(rng, length: float) -> np.ndarray:
    """Held chords [channel, time] of three detuned sawtooths a tone."""
    out = np.zeros((2, round(length * RATE)))
    key = 57 + int(rng.integers(5))
    number = np.arange(1, 24)[:, None]
    for bar in range(int(np.ceil(length / BAR_SECONDS))):
        at = seconds(BAR_SECONDS)
        for tone in CHORDS[bar % 4]:
            for cents, sides in ((-9, (0.9, 0.3)), (0, (0.6, 0.6)), (9, (0.3, 0.9))):
                hz = np.full_like(at, hertz(key + tone) * 2 ** (cents / 1200))
                wave = harmonics(hz, (1 / number / (1 + (number * hz[0] / 1800) ** 2))[:, 0])
                out_of = np.array(sides)[:, None] * wave * gate(BAR_SECONDS, 0.1, 0.1)
                place(out, out_of, bar * BAR_SECONDS)
    return out
