"""Oscillators that follow a gesture: leads with glide, sub-bass, 808, a sweeping bass."""

import numpy as np

from . import synth
from .lines import FRAME_SECONDS, Gesture

PATCHES = ("saw_lead", "square_lead", "saw_pluck", "square_pluck", "organ", "flute_lead", "sub",
           "boom", "reese", "saw_bass", "square_bass")  # fmt: skip


def _hertz(gesture: Gesture, length: int, rate: int) -> np.ndarray:
    frame = np.arange(length) / (rate * FRAME_SECONDS)
    return 440 * 2 ** ((np.interp(frame, np.arange(len(gesture.curve)), gesture.curve) - 69) / 12)


def sound(patch: str, gesture: Gesture, rate: int, character: dict, release: float) -> np.ndarray:
    """One gesture by a patch of PATCHES -> [time]; `character` is `draw`'s, one a song."""
    held = round(gesture.seconds * rate)
    tail = max(8, round((character["ring"] if patch == "boom" else release) * rate))
    hz = _hertz(gesture, held + tail, rate)
    time = np.arange(held + tail, dtype=np.float32) / rate
    if patch == "boom":  # the 808: a kick drum's fall of pitch, then a decaying sine
        hz = hz * (1 + character["drop"] * np.exp(-time / 0.025))
        level = np.exp(-time / character["decay"]) * np.minimum(1, time / 0.002)
    else:
        level = synth.envelope(held, tail, rate, character["attack"], 0.6, character["sustain"])
        level = level[: held + tail]
    phase = np.cumsum(hz) / rate
    if patch in ("sub", "boom", "flute_lead"):
        wave = np.sin(2 * np.pi * phase)
        if patch == "flute_lead":
            wave += 0.25 * np.sin(4 * np.pi * phase) + 0.1 * np.sin(6 * np.pi * phase)
        else:
            drive = 10 ** (character["drive_db"] / 20)
            wave = np.tanh(drive * wave) / np.tanh(drive)
    else:
        wave = _tables(patch, phase, hz, time, gesture, character, rate)
    if patch == "boom":
        level[-tail:] *= np.linspace(1, 0, tail, dtype=np.float32)
    return (wave * level * gesture.force).astype(np.float32)


def _tables(patch, phase, hz, time, gesture, character, rate) -> np.ndarray:
    """Wavetables with a filter that falls with the note or, of a "reese", sweeps up and down."""
    if patch == "reese":
        shape, voices, cents, low, high, sweep = "saw", 2, 14, 120, 2400, 1.0
        turn = np.sin(2 * np.pi * character["sweep_hz"] * (time + gesture.start))
        bright = 0.5 + 0.5 * turn
    else:
        shape, voices, cents, low, high, sweep, *_ = synth.PATCHES[patch]
        bright = np.exp(-time / sweep) * (0.5 + 0.5 * gesture.force)
    table = synth.tables(shape, round(float(hz.max()), 1), low, max(high, 1.01 * low), rate)
    wave = np.zeros(len(time))
    for index in range(voices):
        offset = 0 if voices == 1 else 2 * index / (voices - 1) - 1
        turns = phase * 2 ** (offset * cents / 1200) + 0.37 * index
        wave += synth.oscillate(table, turns, bright) / voices
    return wave


def draw(rng) -> dict:
    """What a song's synthesiser is like: envelope, drive, fall of pitch, decay, sweep."""
    return {
        "attack": float(rng.choice((0.003, 0.01, 0.04))),
        "sustain": float(rng.uniform(0.5, 1.0)),
        "drive_db": float(rng.choice((0.0, 6.0, 12.0, 20.0))),
        "drop": float(rng.uniform(0.0, 3.0)),
        "decay": float(0.15 * 10 ** rng.uniform(0, 1)),
        "ring": float(rng.uniform(0.05, 0.6)),
        "sweep_hz": float(rng.uniform(0.08, 0.8)),
    }
