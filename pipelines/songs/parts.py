"""Bass lines and the players of "other": chords in, notes in beats out."""

import numpy as np

from .score import BEATS, Note, pick

RHYTHMS = {  # sixteenths at which chords are struck, with their lengths
    "strum": ("x...x...x...x...", "x...x.x...x.x...", "x...x.xx..xxx.x.", "x.x.x.x.x.x.x.x.",
              "x..x..x.x..x..x.", "x.......x.......", "x...x.x.x...x.x."),
    "power": ("x...............", "x.......x.......", "x.x.x.x.x.x.x.x.", "x..x..x.........",
              "x.....x.x.......", "x..x..x.x..x..x.", "x...x...x...x...", "x.x...x.x.x...x."),
    "chug": ("x.x.x.x.x.x.x.x.", "x.xxx.xxx.xxx.xx", "xxxxxxxxxxxxxxxx", "x.x.x.x.x.x.x.xx"),
    "chords": ("x.......x.......", "x...x...x...x...", "x...............", "x..x..x.x.......",
               "x.x.x.x.x.x.x.x.", "x..x..x...x.x...", "x.....x...x....."),
    "organ": ("x...............", "x.......x.......", "x.....x.........", "x..x..x.x.x....."),
    "clav": ("x..x..x..x..x.x.", "x.xx..x.x.xx..x.", "..x.x..x..x.x..x"),
    "scratch": ("x.xx.xx.x.xx.xx.", "..x...x...x...x.", "..xx..x...xx..x.", "x..x..x...x..xx.",
                "xxxxxxxxxxxxxxxx"),
    "skank": ("....x.......x...", "..x...x...x...x.", "....xx......xx.."),
    "keys80": ("x.....x.....x...", "x..x..x..x..x.x.", "x.......x..x....", "..x..x....x..x..",
               "x.x..x..x.x....."),
    "stabs": ("x...............", "..x.........x...", "x..x............", "......x.......x.",
              "x.....x.....x..."),
    "brass": ("x..x....x.......", "......x.x.......", "x...............", "x.x.x.....x.x..."),
}  # fmt: skip
SHORT = {"chug", "scratch", "skank", "stabs", "clav"}


def chord_at(chords: list, beat: float):
    """The chord that sounds at `beat`."""
    return next((c for c in reversed(chords) if c.start <= beat + 1e-6), chords[0])


def fold(pitch: float, low: float, high: float) -> float:
    """Moves a pitch by octaves into [low, high)."""
    while pitch < low:
        pitch += 12
    while pitch >= high and pitch - 12 >= low:
        pitch -= 12
    return pitch


def bass(rng, style: str, chords: list, bars: range, kick: str, scale: list) -> list:
    """A bass line over the bars; `kick` is the section's kick pattern."""
    floor = 28
    marks = {
        "eighths": "x.x.x.x.x.x.x.x.", "sixteenths": "x.xxx.xxx.xxx.xx",
        "octaves": "x.o.x.o.x.o.x.o.",
        "offbeat": "..x...x...x...x.", "fifths": "x.......f.......", "walking": "x...w...w...w...",
        "held": "x...............", "slap": "x..o..x..xo...ox", "riff": "x..x..x.w.x...w.",
        "syncopated": pick(rng, ("x..x..x...w.x...", "x.....wx..x...w.", "x..w....x.wx..o.")),
        "kick": "".join("x" if m in "Xx" else "." for m in kick.ljust(16, ".")),
    }[style]  # fmt: skip
    long = rng.uniform(0.6, 1.0)
    notes = []
    for bar in bars:
        steps = [s for s in range(16) if marks[s] != "."]
        changes = [int((c.start - bar * BEATS) * 4) for c in chords
                   if bar * BEATS <= c.start < (bar + 1) * BEATS]  # fmt: skip
        steps = sorted({*steps, *changes})
        for step, after in zip(steps, [*steps[1:], 16], strict=True):
            beat = bar * BEATS + step / 4
            chord = chord_at(chords, beat)
            root = fold(chord.root, floor, floor + 12)
            pitch, mark = root, marks[step]
            if mark == "o":
                pitch = root + 12
            elif mark == "f":
                pitch = root + (7 if 7 in chord.intervals else 12)
            elif mark == "w":
                pitch = fold(pick(rng, scale), root - 2, root + 10)
            elif after == 16 and rng.random() < 0.2:
                pitch = root + pick(rng, (-2, 12, 7, -1))
            length = min((after - step) / 4, 4.0) * long
            accent = 1.0 if step % 4 == 0 else 0.85
            notes.append(Note(beat, length, max(26, pitch), rng.uniform(0.72, 0.92) * accent))
    return notes


def voicing(rng, chord, role: str, low: float, high: float) -> list:
    """The pitches of a chord as a role plays them."""
    if role in ("power", "chug"):
        root = fold(chord.root, low, low + 12)
        fifth = root + (6 if 6 in chord.intervals and 7 not in chord.intervals else 7)
        return [root, fifth, root + 12][: 2 if role == "chug" else int(rng.integers(2, 4))]
    base = fold(chord.root, low, low + 12)
    if role in ("strum", "skank", "scratch"):
        tones = sorted(fold(base + i + 12 * o, low, high) for i in chord.intervals for o in (0, 1))
        tones = sorted(set(tones))
        return tones[-4:] if role != "strum" else tones[:6]
    inversion = int(rng.integers(0, len(chord.intervals)))
    tones = [base + i + (12 if k < inversion else 0) for k, i in enumerate(chord.intervals)]
    if role in ("chords", "keys80") and rng.random() < 0.7:
        tones.append(fold(chord.root, 36, 48))
    return sorted(t if t < high else t - 12 for t in tones)


def block_chords(rng, role: str, chords: list, bars: range, low: int, high: int) -> list:
    """Struck chords: strummed, stabbed or held, in the role's rhythm."""
    marks = pick(rng, RHYTHMS[role]) if role in RHYTHMS else "x..............."
    strum_beats = {"strum": 0.035, "power": 0.012, "scratch": 0.01}.get(role, 0.003)
    palm = role == "chug"
    held = {}
    notes = []
    for bar in bars:
        starts = {s for s in range(16) if marks[s] == "x"}
        starts |= {int((c.start - bar * BEATS) * 4) for c in chords
                   if bar * BEATS <= c.start < (bar + 1) * BEATS}  # fmt: skip
        steps = sorted(starts)
        for step, after in zip(steps, [*steps[1:], 16], strict=True):
            beat = bar * BEATS + step / 4
            chord = chord_at(chords, beat)
            if chord.start not in held:
                held[chord.start] = voicing(rng, chord, role, low, high)
            tones = held[chord.start]
            length = (after - step) / 4 * (0.97 if role not in SHORT else 0.45)
            if palm and step % 8 and rng.random() < 0.8:
                tones, length = tones[:1], 0.18
            if role == "scratch" and rng.random() < 0.35:
                length = 0.06
            order = tones if step % 4 == 0 or role != "strum" else tones[::-1]
            force = (0.85 if step % 4 == 0 else 0.7) * rng.uniform(0.85, 1.1)
            for index, pitch in enumerate(order):
                notes.append(Note(beat + index * strum_beats, max(0.08, length), pitch,
                                  min(1.0, force)))  # fmt: skip
    return notes


def broken_chords(rng, role: str, chords: list, bars: range, low: int, high: int) -> list:
    """Arpeggios: one tone at a time, eighths or sixteenths."""
    step = pick(rng, (0.5, 0.5, 0.25) if role == "arpeggio" else (0.5, 0.5, 0.5, 0.25))
    shape = pick(rng, ("up", "down", "bounce", "random"))
    ring = step * rng.uniform(0.8, 3.0)
    notes = []
    for bar in bars:
        for index in range(int(BEATS / step)):
            beat = bar * BEATS + index * step
            chord = chord_at(chords, beat)
            base = fold(chord.root, low, low + 12)
            tones = [base + i + 12 * o for o in (0, 1) for i in chord.intervals]
            tones = [t for t in tones if t <= high] or [base]
            size = len(tones)
            spot = {
                "up": index % size, "down": -1 - index % size, "random": int(rng.integers(size)),
                "bounce": abs((index + size - 1) % max(1, 2 * size - 2) - size + 1),
            }[shape]  # fmt: skip
            if rng.random() < 0.06:
                continue
            notes.append(Note(beat, ring, tones[spot], rng.uniform(0.6, 0.9)))
    return notes


def line(rng, role: str, chords: list, bars: range, low: int, high: int, scale: list) -> list:
    """A single-note line: riffs repeat every two bars, leads and fiddles wander with rests."""
    grid = pick(rng, (0.5, 0.5, 0.25))
    motif = []
    beat = 0.0
    while beat < 2 * BEATS:
        length = grid * pick(rng, (1, 1, 2, 3) if role == "riff" else (1, 2, 2, 4, 6))
        motif.append((beat, min(length, 2 * BEATS - beat), int(rng.integers(-2, 3))))
        beat += length
        if role != "riff" and rng.random() < 0.25:
            beat += grid * pick(rng, (2, 4))
    notes = []
    tones = sorted(p for p in range(low, high + 1) if p % 12 in {s % 12 for s in scale})
    place = len(tones) // (4 if role == "riff" else 2)
    for bar in range(bars.start, bars.stop, 2):
        if role != "riff" and rng.random() < 0.3:
            continue
        if role != "riff":
            motif = [(b, n, int(rng.integers(-2, 3)) if rng.random() < 0.4 else m)
                     for b, n, m in motif]  # fmt: skip
        for start, length, move in motif:
            beat = bar * BEATS + start
            if beat >= bars.stop * BEATS:
                break
            place = int(np.clip(place + move, 0, len(tones) - 1))
            pitch = tones[place]
            if start % 2 == 0:
                chord = chord_at(chords, beat)
                wanted = {(chord.root + i) % 12 for i in chord.intervals}
                near = sorted(tones, key=lambda p: (abs(p - pitch), p))
                pitch = next((p for p in near if p % 12 in wanted), pitch)
            notes.append(Note(beat, length * 0.95, pitch, rng.uniform(0.7, 0.95)))
    return notes


def player(rng, role: str, chords: list, bars: range, low: int, high: int, scale: list) -> list:
    """The notes of one section for a role in "other"."""
    if role in ("picked", "arpeggio"):
        return broken_chords(rng, role, chords, bars, low, high)
    if role in ("riff", "lead", "synthlead", "fiddle", "reeds"):
        return line(rng, role, chords, bars, low, high, scale)
    return block_chords(rng, role, chords, bars, low, high)
