"""How a single line is played: notes that hang together, slides, bends, vibrato, falls.

Notes become gestures: one stroke, breath or bow each, with a pitch that moves. What sounds them
(`voices`) reads a recording, or turns an oscillator, at the speed that the pitch asks for.
"""

from typing import NamedTuple

import numpy as np

FRAME_SECONDS = 0.005


class Manner(NamedTuple):
    """How an instrument's lines are played: chances are per gesture or note, 0..1."""

    joined: float  # chance that a note follows without a new stroke
    reach: float  # largest step [semitones] that may be joined
    slides: float  # of the joined notes, how many slide, the others are hammered or slurred
    soft: float  # chance that a new gesture begins without an attack, tied to the last
    bends: float  # chance that the first note is bent up from 1 or 2 semitones below
    scoops: float  # chance of a small rise into the note
    vibrato: float  # chance, on notes longer than 0.3 s
    depth: tuple  # of the vibrato [semitones], (low, high)
    upwards: bool  # a string's vibrato only raises its pitch
    falls: float  # chance that a gesture ends in a fall
    release: float  # seconds


MANNERS = {
    "plucked": Manner(0.35, 5, 0.45, 0.0, 0.22, 0.1, 0.55, (0.15, 0.9), True, 0.05, 0.07),
    "bass": Manner(0.12, 5, 0.6, 0.0, 0.02, 0.05, 0.1, (0.1, 0.35), True, 0.06, 0.06),
    "blown": Manner(0.3, 3, 0.25, 0.45, 0.1, 0.4, 0.6, (0.1, 0.5), False, 0.08, 0.07),
    "bowed": Manner(0.3, 4, 0.5, 0.5, 0.0, 0.25, 0.7, (0.15, 0.5), False, 0.02, 0.15),
    "glide": Manner(0.6, 12, 0.9, 0.0, 0.08, 0.1, 0.4, (0.1, 0.5), False, 0.06, 0.09),
    "sub": Manner(0.25, 12, 0.8, 0.0, 0.0, 0.0, 0.0, (0.0, 0.0), False, 0.08, 0.04),
    # A player of chords: each note for itself, and steady.
    "struck": Manner(0.0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, (0.0, 0.0), False, 0.0, 0.12),
}


class Gesture(NamedTuple):
    """One stroke: start [s], pitch over time [frame] in semitones, loudness, and its attack.

    `soft` gestures begin without one. The curve covers the sounding time without the release.
    """

    start: float
    curve: np.ndarray
    force: float
    soft: bool = False

    @property
    def seconds(self) -> float:
        """How long it sounds before its release."""
        return len(self.curve) * FRAME_SECONDS


def gestures(notes: list, manner: Manner, rng) -> list:
    """Groups timed notes (seconds) into gestures; the notes of a chord are one each."""
    groups = []
    for note in sorted(notes):
        last = groups[-1][-1] if groups else None
        near = last is not None and -0.02 < note.start - last.start - last.length < 0.12
        step = abs(note.pitch - last.pitch) if last is not None else 0
        moves = last is not None and note.start > last.start + 0.03
        room = last is not None and note.start - groups[-1][0].start < 3.0
        if near and moves and room and 0 < step <= manner.reach and rng.random() < manner.joined:
            groups[-1].append(note)
        else:
            groups.append([note])
    out, stop = [], -1.0
    for group in groups:
        tied = group[0].start - stop < 0.12 and rng.random() < manner.soft
        out.append(_gesture(group, manner, rng, tied))
        stop = group[-1].start + group[-1].length
    return out


def _ease(times: np.ndarray, start: float, seconds: float) -> np.ndarray:
    """0 before `start`, 1 after `start` + `seconds`, a smooth step between."""
    place = np.clip((times - start) / max(seconds, 1e-3), 0, 1)
    return place * place * (3 - 2 * place)


def _gesture(group: list, manner: Manner, rng, tied: bool) -> Gesture:
    first, last = group[0], group[-1]
    seconds = max(0.04, last.start + last.length - first.start)
    times = np.arange(max(2, round(seconds / FRAME_SECONDS))) * FRAME_SECONDS
    curve = np.full(len(times), float(first.pitch))
    for before, note in zip(group[:-1], group[1:], strict=True):
        slides = rng.random() < manner.slides
        glide = min(rng.uniform(0.05, 0.2), 0.6 * before.length) if slides else 0.012
        at = note.start - first.start - (0.5 * glide if slides else 0.0)
        curve += (note.pitch - before.pitch) * _ease(times, at, glide)
    if not tied and first.length > 0.15:
        chance = rng.random()
        if chance < manner.bends:
            rise = rng.uniform(0.06, 0.3)
            wait = rng.uniform(0.0, 0.12)
            curve -= rng.choice((1, 2, 2, 0.5)) * (1 - _ease(times, wait, rise))
            if first.length > 0.5 and rng.random() < 0.3:  # and released again
                curve -= rng.choice((1, 2)) * _ease(times, first.length - 0.2, 0.18)
        elif chance < manner.bends + manner.scoops:
            curve -= rng.uniform(0.2, 1.2) * np.exp(-times / rng.uniform(0.02, 0.07))
    for note in group:
        if note.length > 0.3 and rng.random() < manner.vibrato:
            since = times - (note.start - first.start)
            grow = np.clip((since - rng.uniform(0.05, 0.35)) / 0.25, 0, 1) * (since < note.length)
            turn = 2 * np.pi * rng.uniform(4.2, 6.8) * since + 0.4 * np.sin(2.3 * since)
            wave = 0.5 - 0.5 * np.cos(turn) if manner.upwards else 0.5 * np.sin(turn)
            curve += grow * rng.uniform(*manner.depth) * wave
    if seconds > 0.25 and rng.random() < manner.falls:
        depth = rng.uniform(1.5, 5.0)
        curve -= depth * np.clip((times - seconds + 0.16) / 0.16, 0, 1) ** 2
    curve += rng.normal(0, 0.04)
    force = float(np.mean([note.velocity for note in group]))
    return Gesture(first.start, curve, force, tied)
