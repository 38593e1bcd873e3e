"""What is sung: singers, phrases, words on notes, doubles, harmonies, choirs, shouts."""

from typing import NamedTuple

import numpy as np

from . import words
from .parts import chord_at, fold
from .score import BEATS, pick


class Sung(NamedTuple):
    """A sung syllable: start and length in beats, pitch, loudness, and which of a word's it is."""

    start: float
    length: float
    pitch: float
    velocity: float
    word: str
    syllable: int


# kind: (lowest note, highest note, range of formant warps, voices with weights)
SINGERS = {
    "tenor": (50, 69, (0.95, 1.1), {"rms": 4, "awb": 3, "kal16": 1.5}),
    "rock": (54, 74, (0.98, 1.16), {"rms": 4, "awb": 3, "kal16": 1, "slt": 1}),
    "baritone": (43, 62, (0.86, 1.0), {"rms": 4, "awb": 3, "kal16": 1.5}),
    "alto": (55, 74, (0.92, 1.05), {"slt": 5, "awb": 1, "rms": 0.6}),
    "soprano": (60, 80, (0.98, 1.14), {"slt": 5, "rms": 0.5}),
    "child": (62, 82, (1.15, 1.32), {"slt": 4, "awb": 1}),
}
STYLES = {"sung": 12, "straight": 3, "rap": 1.2, "calls": 1.2, "tuned": 1.2}


def singer(rng, kind: str = "") -> dict:
    """A voice of its own: whose words, how its formants are moved, how it slides and trembles."""
    kind = kind or pick(rng, {"tenor": 5, "rock": 5, "baritone": 2.5, "alto": 4, "soprano": 3,
                              "child": 0.6})  # fmt: skip
    low, high, (warp_low, warp_high), voices = SINGERS[kind]
    return {
        "kind": kind,
        "voice": pick(rng, voices),
        "low": low,
        "high": high,
        "warp": float(rng.uniform(warp_low, warp_high)),
        # F1, F2, F3+ are moved apart from each other: three more throats for each voice
        "bends": [float(x) for x in rng.normal(0, (0.06, 0.05, 0.04))],
        "tilt_db": float(rng.normal(1.0, 2.5)),  # an octave, above 1 kHz
        "ring_db": float(rng.uniform(0, 9)),  # singer's formant
        "ring_hz": float(rng.uniform(2500, 3400)),
        "breath": float(np.clip(rng.normal(0.1, 0.15), 0, 0.5)),
        "vibrato_hz": float(rng.uniform(4.6, 6.6)),
        "vibrato_semitones": float(rng.gamma(2.5, 0.14)),
        "scoop_semitones": float(rng.gamma(2.0, 0.7)),
        "glide_seconds": float(rng.uniform(0.03, 0.11)),
        "rasp": float(max(0.0, rng.normal(0.0 if kind in ("soprano", "child") else 0.25, 0.35))),
        "drift": float(rng.uniform(0.05, 0.2)),
    }


def _rhythm(rng, style: str, tempo: float) -> list:
    """Starts and lengths [beats] of the syllables of one two-bar phrase."""
    if style == "rap":
        step, rest = (0.25 if tempo < 105 else 0.5), 0.16
        choices = (1, 1, 1, 2)
    elif style == "calls":
        step, rest, choices = 0.5, 0.25, (2, 3, 4, 6, 8)
    else:
        step = 0.5 if tempo > 84 or rng.random() < 0.4 else 0.25
        rest, choices = 0.1, pick(rng, ((1, 1, 2, 2, 3), (1, 2, 2, 4), (1, 1, 1, 2), (2, 2, 4, 6)))
    beat = float(pick(rng, (0, 0, 0.5, 1, 0.5, 1.5)))
    stop = 2 * BEATS - float(pick(rng, (0, 0.5, 1, 1, 2)))
    out = []
    while beat < stop - 1e-6:
        length = min(step * pick(rng, choices), stop - beat)
        if out and rng.random() < rest:
            beat += length
            continue
        out.append((beat, length))
        beat += length
    if out and style not in ("rap",) and rng.random() < 0.7:
        start, length = out[-1]
        out[-1] = (start, max(length, min(float(pick(rng, (1, 2, 3))), 2 * BEATS - start)))
    return out


def _lyrics(rng, count: int, style: str) -> list:
    """(word, syllable) for `count` notes."""
    out = []
    only_calls = style == "calls"
    call = pick(rng, words.OPEN)
    while len(out) < count:
        left = count - len(out)
        if only_calls:
            word = call if rng.random() < 0.7 else pick(rng, words.OPEN)
        else:
            shelf = pick(rng, {0: 6, 1: 3, 2: 0.7})
            word = pick(rng, (words.ONE, words.TWO, words.OPEN)[shelf])
            if words.syllables(word) > left:
                word = pick(rng, words.OPEN if rng.random() < 0.2 else words.ONE)
        out += [(word, k) for k in range(words.syllables(word))]
    return out[:count]


def phrase(rng, style, chords, bar, centre, who, scale, tempo, rhythm, contour) -> list:
    """One phrase of two bars at `bar`: a contour of steps pulled onto chord and scale tones."""
    low, high = who["low"], who["high"]
    tones = [p for p in range(low, high + 1) if p % 12 in {s % 12 for s in scale}]
    lyrics = _lyrics(rng, len(rhythm), style)
    notes = []
    place = int(np.argmin([abs(t - centre) for t in tones]))
    for index, (start, length) in enumerate(rhythm):
        place = int(np.clip(place + contour[index % len(contour)], 0, len(tones) - 1))
        beat = bar * BEATS + start
        chord = chord_at(chords, beat)
        pitch = tones[place]
        if start % 1 == 0 or length >= 1:
            wanted = {(chord.root + i) % 12 for i in chord.intervals}
            near = [p for p in range(low, high + 1) if p % 12 in wanted]
            pitch = min(near, key=lambda p: (abs(p - pitch), p)) if near else pitch
        word, syllable = lyrics[index]
        force = rng.uniform(0.75, 1.0)
        notes.append(Sung(beat, length * rng.uniform(0.85, 1.0), pitch, force, word, syllable))
    return notes


def lead(rng, sections, chords, who, scale, tempo, style) -> list:
    """The lead line of a whole song; the chorus keeps its rhythm and contour each time."""
    themes = {}
    notes = []
    for section in sections:
        if "vocals" not in section.active:
            continue
        span = who["high"] - who["low"]
        lift = {"chorus": 0.68, "bridge": 0.55}.get(section.name, 0.42)
        centre = who["low"] + span * lift
        if section.name not in themes:
            themes[section.name] = [
                (_rhythm(rng, style, tempo), rng.integers(-2, 3, 16).tolist()) for _ in range(2)
            ]
        for index, bar in enumerate(range(section.bar, section.bar + section.bars, 2)):
            rhythm, contour = themes[section.name][index % 2]
            if rng.random() < 0.25:
                rhythm = _rhythm(rng, style, tempo)
            if rng.random() < (0.5 if section.name == "intro" else 0.1):
                continue
            limit = (section.bar + section.bars - bar) * BEATS
            rhythm = [(s, n) for s, n in rhythm if s < limit]
            notes += phrase(rng, style, chords, bar, centre, who, scale, tempo, rhythm, contour)
    return notes


def harmony(notes: list, chords: list, scale: list, above: bool, chorus: list) -> list:
    """A second voice a third (or the next chord tone) away, in the sections given as beats."""
    inside = {s % 12 for s in scale}
    out = []
    for note in notes:
        if not any(a <= note.start < b for a, b in chorus):
            continue
        step = 1 if above else -1
        pitch = note.pitch + 3 * step
        while pitch % 12 not in inside:
            pitch += step
        out.append(note._replace(pitch=pitch, velocity=note.velocity * 0.9))
    return out


def choir(rng, chords: list, spans: list, low: int, high: int, word: str) -> list:
    """Three voices holding the chords on one vowel; a list of lines."""
    lines = [[], [], []]
    for chord in chords:
        if not any(a <= chord.start < b for a, b in spans):
            continue
        base = fold(chord.root, low, low + 12)
        tones = sorted(fold(base + i, low, high) for i in chord.intervals[:3])
        for line, pitch in zip(lines, tones, strict=False):
            line.append(Sung(chord.start, chord.length * 0.96, pitch, 0.8, word, 0))
    return lines


def shouts(rng, spans: list, who: dict, scale: list) -> list:
    """Ad-libs: now and then a call in the gaps of the last bars."""
    notes = []
    for start, stop in spans:
        beat = start + 6.0
        while beat < stop - 1:
            if rng.random() < 0.5:
                pitch = fold(pick(rng, scale), who["low"] + 6, who["high"] + 1)
                word = pick(rng, ("yeah", "hey", "oh", "whoa", "ha"))
                notes.append(Sung(beat, float(pick(rng, (0.5, 1, 2))), pitch, 0.9, word, 0))
            beat += 8.0
    return notes
