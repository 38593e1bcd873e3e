"""Sounds gestures: by recorded notes, by a soundfont's, or by an oscillator, and adds noises.

An instrument's "line" says what sounds it: ("recorded", entry, shelf), ("font", font, bank,
program) or ("synth", patch); its "manner" is one of `lines.MANNERS`.
"""

import numpy as np

from . import gliding, lines, recordings, sampler, styles, synth
from .material import Stock
from .score import Note

FONT_SECONDS = 4.0  # how long a soundfont's note is played to be read as a recording


def play(
    instrument: dict, notes: list, samples: int, rng, stock: Stock | None, sampled: bool = True
) -> np.ndarray:
    """Timed notes (seconds) -> [2, time] at the sampler's rate, both channels alike.

    Where soundfonts are not `sampled`, numpy patches stand for them.
    """
    manner = lines.MANNERS[instrument["manner"]]
    kind, *which = instrument["line"]
    if kind == "recorded":
        sound = _recorded(stock.notes(*which), manner.release, rng)
    elif kind == "font":
        sound = _font(*which, manner.release, sampled)
    else:
        character = gliding.draw(rng)

        def sound(gesture):
            return gliding.sound(which[0], gesture, sampler.RATE, character, manner.release)

    out = np.zeros(samples, np.float32)
    for gesture in lines.gestures(notes, manner, rng):
        recordings.add(out, sound(gesture), _sample(gesture.start))
    if instrument.get("noises"):
        _noises(out, instrument["noises"], notes, rng, stock)
    return np.stack([out, out])


def _sample(start: float) -> int:
    return max(0, round(start * sampler.RATE))


def _recorded(notes: tuple, release: float, rng):
    def sound(gesture):
        found = recordings.nearest(notes, float(np.median(gesture.curve)), gesture.force, rng)
        wave, rate = recordings.note(found.path)
        wave = recordings.follow(wave, rate, found.pitch, gesture, sampler.RATE, release)
        return wave * np.float32(0.25 + 0.75 * gesture.force)

    return sound


def _font(font: int, bank: int, program: int, release: float, sampled: bool):
    kept = {}
    patch = styles.plain_patch({"programs": ((bank, program),)})

    def sound(gesture):
        pitch = int(round(float(np.median(gesture.curve)) / 3) * 3)
        loud = gesture.force > 0.8
        if (pitch, loud) not in kept:
            note = [Note(0.0, FONT_SECONDS, pitch, 0.95 if loud else 0.65)]
            length = round((FONT_SECONDS + 0.5) * sampler.RATE)
            if sampled:
                wave = sampler.play(font, bank, program, note, length)
            else:
                wave = synth.play(patch, note, length, sampler.RATE, np.random.default_rng(0))
            kept[pitch, loud] = wave.mean(0)
        return recordings.follow(
            kept[pitch, loud], sampler.RATE, pitch, gesture, sampler.RATE, release
        )

    return sound


def _noises(out: np.ndarray, where: tuple, notes: list, rng, stock: Stock) -> None:
    """Frets, scrapes and muted strings before one note in six, 12 to 26 dB under the notes."""
    paths = stock.files(*where)
    level = float(np.abs(out).max())
    for note in notes:
        if not paths or rng.random() > 1 / 6:
            continue
        wave, rate = recordings.note(paths[int(rng.integers(len(paths)))])
        still = lines.Gesture(0.0, np.zeros(round(0.25 / lines.FRAME_SECONDS)), 1.0)
        wave = recordings.follow(wave, rate, 0.0, still, sampler.RATE, 0.05)
        gain = level * 10 ** (-rng.uniform(12, 26) / 20)
        start = _sample(note.start - rng.uniform(0.02, 0.12))
        recordings.add(out, wave * np.float32(gain), start)
