"""Numpy instruments: wavetables with moving filters, plucked strings, FM, a drum machine."""

from functools import lru_cache

import numpy as np

from .score import Note

TABLE = 2048
LEVELS = 6  # brightness steps of a filter sweep

# shape, voices of unison, detune [cents], filter from..to [Hz], filter decay [s],
# attack, decay [s], sustain 0..1, release [s]
PATCHES = {
    "saw_pad": ("saw", 3, 11, 600, 3500, 1.2, 0.12, 1.0, 0.85, 0.35),
    "soft_pad": ("triangle", 3, 9, 400, 2200, 2.0, 0.25, 1.0, 0.9, 0.5),
    "saw_pluck": ("saw", 2, 7, 500, 7000, 0.18, 0.003, 0.35, 0.15, 0.12),
    "square_pluck": ("square", 2, 5, 600, 6000, 0.15, 0.003, 0.3, 0.2, 0.1),
    "saw_stab": ("saw", 3, 13, 900, 7500, 0.35, 0.006, 0.8, 0.6, 0.12),
    "saw_lead": ("saw", 2, 9, 1500, 6500, 0.5, 0.015, 1.0, 0.8, 0.12),
    "square_lead": ("square", 2, 6, 1500, 5500, 0.6, 0.01, 1.0, 0.8, 0.1),
    "organ": ("organ", 1, 0, 6000, 6000, 1.0, 0.006, 1.0, 1.0, 0.05),
    "saw_bass": ("saw", 1, 0, 180, 1900, 0.22, 0.004, 0.5, 0.7, 0.05),
    "square_bass": ("square", 2, 5, 200, 1500, 0.25, 0.004, 0.5, 0.7, 0.05),
    "sub_bass": ("triangle", 1, 0, 150, 500, 0.3, 0.005, 0.6, 0.85, 0.06),
}


@lru_cache(maxsize=4096)
def tables(shape: str, hz: float, low_hz: float, high_hz: float, rate: int) -> np.ndarray:
    """[level, TABLE + 1]: one period, band-limited for `hz`, filtered ever more openly."""
    count = max(1, min(120, int(0.45 * rate / hz)))
    k = np.arange(1, count + 1)
    amplitude = {
        "saw": 1 / k,
        "square": (k % 2) / k,
        "triangle": (k % 2) / k**1.7,
        "organ": np.isin(k, (1, 2, 3, 4, 6, 8)) / k**0.6,
    }[shape]
    out = []
    for cutoff in np.geomspace(low_hz, high_hz, LEVELS):
        ratio = k * hz / cutoff
        gain = 1 / np.sqrt(1 + ratio**4) + 0.5 * np.exp(-((np.log2(ratio) * 3) ** 2))
        spectrum = np.zeros(TABLE // 2 + 1, complex)
        spectrum[1 : count + 1] = -1j * amplitude * gain
        period = np.fft.irfft(spectrum) * TABLE / 2
        out.append(np.append(period, period[0]))
    return np.array(out, np.float32)


def envelope(length: int, release: int, rate: int, attack, decay, sustain) -> np.ndarray:
    """Attack, exponential decay to the sustain, release after `length`: [length + release]."""
    time = np.arange(length + release, dtype=np.float32) / rate
    level = sustain + (1 - sustain) * np.exp(-time / max(decay / 3, 1e-3))
    level *= np.minimum(1, time / attack)
    level[length:] *= np.linspace(1, 0, release, dtype=np.float32) ** 2
    return level


def oscillate(table: np.ndarray, phase: np.ndarray, bright: np.ndarray) -> np.ndarray:
    """Reads tables at a phase [turns] and a brightness 0..1, both [time]."""
    spot = (phase % 1.0) * TABLE
    index = spot.astype(np.int32)
    level = np.clip(bright * (LEVELS - 1), 0, LEVELS - 1.001)
    lower = level.astype(np.int32)
    blend = (level - lower).astype(np.float32)
    flat, base = table.ravel(), lower * (TABLE + 1) + index
    return flat[base] * (1 - blend) + flat[base + TABLE + 1] * blend


def _tone(patch: str, note: Note, rate: int, rng) -> np.ndarray:
    shape, voices, cents, low_hz, high_hz, sweep, attack, decay, sustain, release = PATCHES[patch]
    length, tail = int(note.length * rate), int(release * rate)
    hz = 440 * 2 ** ((note.pitch - 69) / 12)
    time = np.arange(length + tail, dtype=np.float32) / rate
    bright = np.exp(-time / sweep) * (0.5 + 0.5 * note.velocity)
    table = tables(shape, round(hz, 1), low_hz, max(high_hz, 1.01 * low_hz), rate)
    out = np.zeros((2, length + tail), np.float32)
    for index in range(voices):
        offset = 0 if voices == 1 else 2 * index / (voices - 1) - 1
        phase = hz * 2 ** (offset * cents / 1200) * time.astype(np.float64) + rng.random()
        voice = oscillate(table, phase, bright)
        out += voice * np.array([[1 - 0.6 * offset], [1 + 0.6 * offset]], np.float32) / voices
    return out * envelope(length, tail, rate, attack, decay, sustain) * note.velocity


def _pluck(note: Note, rate: int, rng, open_hz: float) -> np.ndarray:
    """A Karplus-Strong string, one period a step; `open_hz` is how bright the pluck is."""
    hz = 440 * 2 ** ((note.pitch - 69) / 12)
    period = max(2, int(rate / hz))
    length = int((note.length + 0.12) * rate)
    wave = np.empty((-(-length // period) + 2, period), np.float32)
    harmonic = np.fft.rfftfreq(period, 1 / rate)
    spectrum = np.fft.rfft(rng.uniform(-1, 1, period)) / (1 + (harmonic / open_hz) ** 2)
    row = np.fft.irfft(spectrum, period)
    loss = 0.5 * 0.5 ** (1 / (hz * (0.5 + 60 / hz)))
    for index in range(len(wave)):
        wave[index] = row
        row = loss * (row + np.concatenate((row[-1:], row[:-1])))
    # A period of whole samples (and half a sample of the average) is brought to the true pitch.
    spots = np.arange(length) * (hz * (period + 0.5) / rate)
    spots = spots[spots < wave.size - 1]
    flat = np.interp(spots, np.arange(wave.size), wave.ravel()).astype(np.float32)
    fade = min(len(flat), int(0.08 * rate))
    flat[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    return np.stack([flat, flat]) * note.velocity / max(1e-3, float(np.abs(flat).max()))


def _fm(note: Note, rate: int, bell: bool) -> np.ndarray:
    hz = 440 * 2 ** ((note.pitch - 69) / 12)
    length, tail = int(note.length * rate), int(0.3 * rate)
    time = np.arange(length + tail) / rate
    ratio, depth = (3.5, 2.5) if bell else (1.0, 1.4)
    index = depth * note.velocity * np.exp(-time * (3 if bell else 4))
    wave = np.sin(2 * np.pi * hz * time + index * np.sin(2 * np.pi * hz * ratio * time))
    if not bell:
        wave += (
            0.15 * np.exp(-time * 14) * np.sin(2 * np.pi * hz * 14 * time) * (hz * 14 < rate / 2)
        )
    wave *= envelope(length, tail, rate, 0.003, 1.5, 0.15) * note.velocity
    return np.stack([wave, wave]).astype(np.float32)


def play(patch: str, notes: list, samples: int, rate: int, rng) -> np.ndarray:
    """Notes in seconds -> [2, time]."""
    out = np.zeros((2, samples), np.float32)
    for note in notes:
        start = int(note.start * rate)
        if start >= samples:
            continue
        if patch in PATCHES:
            wave = _tone(patch, note, rate, rng)
        elif patch in ("fm_bell", "fm_keys"):
            wave = _fm(note, rate, patch == "fm_bell")
        else:
            wave = _pluck(note, rate, rng, 500 if patch == "pluck_bass" else 3000)
        stop = min(samples, start + wave.shape[-1])
        out[:, start:stop] += wave[:, : stop - start]
    return out


def _drum(key: int, rate: int, rng) -> np.ndarray:
    """One stroke of a drum machine for a General MIDI key: [time]."""
    seconds = {
        36: 0.5,
        38: 0.35,
        40: 0.35,
        42: 0.08,
        44: 0.08,
        46: 0.5,
        49: 1.8,
        57: 1.8,
        52: 1.6,
        51: 0.9,
        53: 0.9,
        39: 0.3,
        37: 0.1,
        54: 0.2,
        70: 0.09,
        56: 0.3,
    }.get(key, 0.5)
    time = np.arange(int(seconds * rate)) / rate
    noise = rng.standard_normal(len(time))
    bright = np.diff(noise, 2, append=[0, 0]) / 2.5  # high-passed twice

    def drop(start_hz, end_hz, fall, decay):
        hz = end_hz + (start_hz - end_hz) * np.exp(-time / fall)
        return np.sin(2 * np.pi * np.cumsum(hz) / rate) * np.exp(-time / decay)

    if key == 36:
        click = 0.3 * noise * np.exp(-time / 0.004)
        return (
            drop(rng.uniform(120, 260), rng.uniform(42, 62), 0.03, rng.uniform(0.07, 0.2)) + click
        )
    if key in (38, 40):
        body = drop(rng.uniform(230, 330), rng.uniform(150, 210), 0.03, rng.uniform(0.05, 0.12))
        rattle = (0.6 * noise + 0.6 * bright) * np.exp(-time / rng.uniform(0.05, 0.13))
        return 0.7 * body + 0.6 * rattle
    if key == 39:
        bursts = sum(
            np.exp(-np.maximum(0, time - d) / 0.01) * (time >= d) for d in (0, 0.011, 0.022)
        )
        return noise * (0.5 * bursts + 0.6 * np.exp(-time / 0.08) * (time > 0.022))
    if key == 37:
        return drop(1800, 1600, 0.01, 0.02) + 0.3 * noise * np.exp(-time / 0.01)
    if key in (42, 44, 46, 49, 57, 52, 51, 53, 54, 70):
        metal = sum(np.sign(np.sin(2 * np.pi * hz * time + hz)) for hz in
                    rng.uniform(3200, 9500, 5)) / 5  # fmt: skip
        mix = {51: 0.5, 53: 0.8, 70: 0.0}.get(key, 0.25)
        decay = seconds / rng.uniform(2.5, 4)
        return 0.6 * ((1 - mix) * bright + mix * metal) * np.exp(-time / decay)
    if key == 56:
        return sum(np.sign(np.sin(2 * np.pi * hz * time)) for hz in (540, 800)) * 0.3 * np.exp(
            -time / 0.07)  # fmt: skip
    tone = 70 + 9 * (key - 40) if key < 60 else 180 + 25 * (key - 62)
    return drop(tone * 1.6, tone, 0.05, 0.16) + 0.08 * noise * np.exp(-time / 0.02)


def drum_machine(notes: list, samples: int, rate: int, rng, tuning: float = 0.0) -> np.ndarray:
    """Strokes in seconds -> [2, time]; every key sounds the same throughout the song."""
    out = np.zeros((2, samples + 2 * rate), np.float32)
    strokes, sides = {}, {}
    for note in notes:
        key = int(note.pitch)
        if key not in strokes:
            fresh = np.random.default_rng([int(rng.integers(1 << 30)), key])
            stroke = _drum(key, rate, fresh).astype(np.float32)
            spots = np.arange(0, len(stroke) - 1, 2 ** (tuning / 12))
            strokes[key] = np.interp(spots, np.arange(len(stroke)), stroke).astype(np.float32)
            sides[key] = 0.0 if key in (36, 38, 40) else float(fresh.uniform(-0.5, 0.5))
        start = int(note.start * rate)
        if start >= samples:
            continue
        stroke = strokes[key] * note.velocity**1.5
        out[0, start : start + len(stroke)] += stroke * (1 - sides[key])
        out[1, start : start + len(stroke)] += stroke * (1 + sides[key])
    return out[:, :samples]
