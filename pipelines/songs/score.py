"""What a song is before it sounds: notes in beats, parts, sections, and the song's clock."""

import zlib
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

SOURCES = ("bass", "drums", "vocals", "other")
STEPS = 16  # sixteenth notes in a bar; every song is in 4/4
BEATS = 4


class Note(NamedTuple):
    """One note: start and length in beats (or seconds, after `Clock.timed`), MIDI pitch, 0..1."""

    start: float
    length: float
    pitch: float
    velocity: float


class Chord(NamedTuple):
    """A chord over [start, start + length) beats: root pitch class and its intervals."""

    start: float
    length: float
    root: int
    intervals: tuple


class Section(NamedTuple):
    """A stretch of bars with one arrangement: `active` names the sources that play."""

    name: str
    bar: int
    bars: int
    active: tuple
    energy: float


@dataclass
class Part:
    """One player: what plays, its notes [beats], and how it is placed and treated."""

    source: str
    role: str
    instrument: dict
    notes: list = field(default_factory=list)
    effects: list = field(default_factory=list)
    pan: float = 0.0
    level_db: float = 0.0
    double: bool = False


class Clock(NamedTuple):
    """Turns beats into seconds: tempo, offset of beat 0, swing of the offbeats."""

    tempo: float
    offset_seconds: float
    swing: float
    swing_unit: float

    def seconds(self, beat: float) -> float:
        """Where `beat` falls, in seconds; odd multiples of the unit come late by the swing."""
        pair = 2 * self.swing_unit
        whole, rest = divmod(beat, pair)
        middle = self.swing_unit * (1 + self.swing)
        if rest < self.swing_unit:
            rest = rest * middle / self.swing_unit
        else:
            rest = middle + (rest - self.swing_unit) * (pair - middle) / self.swing_unit
        return self.offset_seconds + (whole * pair + rest) * 60 / self.tempo

    def timed(self, notes: list, rng: np.random.Generator, jitter_seconds: float) -> list:
        """Notes in beats -> notes in seconds, each start moved by a small human error."""
        moved = []
        for note in notes:
            start, end = self.seconds(note.start), self.seconds(note.start + note.length)
            start = max(0.0, start + float(np.clip(rng.normal(), -2, 2)) * jitter_seconds)
            moved.append(note._replace(start=start, length=max(0.03, end - start)))
        return sorted(moved)


def stream(seed: int, *names) -> np.random.Generator:
    """A random stream of its own for each (seed, names): adding a part moves no other part."""
    return np.random.default_rng([seed, *(zlib.crc32(str(name).encode()) for name in names)])


def pick(rng: np.random.Generator, options):
    """One of the options; a dictionary's values are weights."""
    if isinstance(options, dict):
        weights = np.array(list(options.values()), float)
        return list(options)[rng.choice(len(weights), p=weights / weights.sum())]
    return options[int(rng.integers(len(options)))]
