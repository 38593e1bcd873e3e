"""Drum parts: patterns of sixteenths, variations, fills. Pitches are General MIDI drum keys."""

from .score import BEATS, STEPS, Note, pick

KICK, SNARE, STICK, CLAP = 36, 38, 37, 39
CLOSED, PEDAL, OPEN, RIDE, BELL, CRASH, CRASH2, CHINA = 42, 44, 46, 51, 53, 49, 57, 52
TOMS = (50, 48, 47, 45, 43, 41)
TAMBOURINE, SHAKER, COWBELL, CONGA_HIGH, CONGA_LOW = 54, 70, 56, 63, 64

# kick, snare, hat; X strong, x normal, o soft (a ghost note; on the hat, an open hat is "O")
PATTERNS = {
    "rock": (
        ("X.......X.......", "....X.......X...", "x.x.x.x.x.x.x.x."),
        ("X.....x.X.......", "....X.......X...", "X.x.X.x.X.x.X.x."),
        ("X.....x.X.x.....", "....X.......X...", "x.x.x.x.x.x.x.O."),
        ("X.x.....X.x.....", "....X.......X...", "X.x.X.x.X.x.X.x."),
        ("X..x..x...x.....", "....X.......X...", "x.x.x.x.x.x.x.x."),
        ("X.........X..x..", "....X..o.o..X..o", "x.x.x.x.x.x.x.x."),
        ("X.......X.x.....", "....X.......X...", "X...X...X...X..."),
        ("X.....X...X...x.", "....X.......X...", "O...O...O...O..."),
    ),
    "hard": (
        ("X.X...X.X.X...X.", "....X.......X...", "X.x.X.x.X.x.X.x."),
        ("XxX.XxX.XxX.XxX.", "....X.......X...", "X...X...X...X..."),
        ("X.X.X.X.X.X.X.X.", "....X.......X...", "O...O...O...O..."),
        ("X.......X.X.....", "....X.......X...", "O.O.O.O.O.O.O.O."),
    ),
    "punk": (
        ("X...X...X...X...", "..X...X...X...X.", "x.x.x.x.x.x.x.x."),
        ("X..X..X.X..X..X.", "....X.......X...", "x.x.x.x.x.x.x.x."),
        ("X.....X.X.....X.", "....X.......X...", "O.O.O.O.O.O.O.O."),
    ),
    "half": (
        ("X.........x.....", "........X.......", "x.x.x.x.x.x.x.x."),
        ("X..x............", "........X.......", "x...x...x...x..."),
        ("X.....x.......x.", "........X.....o.", "x.xxx.x.x.xxx.x."),
        ("X.............x.", "........X.......", "x.x.x.x.x.x.x.x."),
    ),
    "pop": (
        ("X.....x.x.......", "....X.......X...", "x.x.x.x.x.x.x.x."),
        ("X..x....X.......", "....X.......X...", "xxxxxxxxxxxxxxxx"),
        ("X...X...X...X...", "....X.......X...", "x.x.x.x.x.x.x.x."),
        ("X......xX.......", "....X.......X..o", "xoxoxoxoxoxoxoxo"),
        ("X.......X..x..x.", "....X.......X...", "x.x.x.x.x.x.x.x."),
    ),
    "funk": (
        ("X.x.......x..x..", "....X..o.o..X..o", "x.xxx.x.x.xxx.O."),
        ("X..x..x...x..x..", "....X..o....X.o.", "xoxoxoxoxoxoxoxo"),
        ("X.....x..x....x.", "....X..o.o.oX...", "x.x.x.xOx.x.x.x."),
        ("X.x...x...x.x...", "..o.X..o.o..X..o", "xxxxxxxxxxxxxxxx"),
    ),
    "disco": (
        ("X...X...X...X...", "....X.......X...", "..O...O...O...O."),
        ("X...X...X...X...", "....X.......X...", "xxOxxxOxxxOxxxOx"),
        ("X...X...X...X..x", "....X.......X...", "x.O.x.O.x.O.x.O."),
        ("X...X...X...X...", "................", "..x...x...x...x."),
    ),
    "machine": (
        ("X.....x.X.......", "....X.......X...", "x.x.x.x.x.x.x.x."),
        ("X..X..X...X.....", "....X.......X...", "x.xxx.x.x.x.xxxx"),
        ("X.......x.X.....", "....X.......X..x", "xxxxxxxxxxxxxxxx"),
        ("X...X...X...X...", "....X.......X...", "x...x...x...x..."),
    ),
    "ballad": (
        ("X.......x.......", "....X.......X...", "x.x.x.x.x.x.x.x."),
        ("X.........x.....", "........X.......", "x...x...x...x..."),
        ("X......xx.......", "....X.......X...", "x...x...x...x..."),
    ),
    "reggae": (
        ("........X.......", "........X.......", "x.x.x.x.x.x.x.x."),
        ("X.......X.......", "........X.......", "..x...x...x...x."),
    ),
    "shuffle": (
        ("X.......X.......", "....X.......X...", "x.x.x.x.x.x.x.x."),
        ("X.....x.X.....x.", "....X.......X...", "x...x.x.x...x.x."),
    ),
    "tribal": (
        ("X..x..X...X.....", "....o.......o...", "................"),
        ("X.......X.......", "................", "................"),
    ),
}
FORCE = {"X": 1.0, "x": 0.78, "o": 0.32, "O": 0.85}


def _hits(pattern: str, key: int, beat: float, gain: float, rng) -> list:
    return [
        Note(beat + step / 4, 0.2, OPEN if mark == "O" else key,
             float(np_clip(FORCE[mark] * gain * rng.uniform(0.88, 1.08))))
        for step, mark in enumerate(pattern)
        if mark in FORCE
    ]  # fmt: skip


def np_clip(value: float) -> float:
    """A velocity kept in 0.05..1."""
    return min(1.0, max(0.05, value))


def fill(rng, beat: float, steps: int) -> list:
    """A fill over the last `steps` sixteenths of a bar that starts at `beat`."""
    kind = pick(rng, ("toms", "toms", "roll", "mixed", "sparse"))
    notes = []
    for step in range(STEPS - steps, STEPS):
        place = (step - STEPS + steps) / steps
        if kind == "toms":
            key = TOMS[min(5, int(place * 6 + rng.integers(0, 2)))]
        elif kind == "roll":
            key = SNARE
        elif kind == "mixed":
            key = pick(rng, (SNARE, *TOMS, KICK))
        else:
            key = pick(rng, (SNARE, TOMS[2], TOMS[4]))
            if step % 2 or rng.random() < 0.3:
                continue
        if kind != "roll" and rng.random() < 0.12:
            continue
        force = (0.55 + 0.45 * place) * rng.uniform(0.85, 1.1)
        notes.append(Note(beat + step / 4, 0.25, key, np_clip(force)))
        if step % 4 == 0:
            notes.append(Note(beat + step / 4, 0.2, KICK, 0.8))
    return notes


def groove(rng, families) -> dict:
    """One song's beat for a section: patterns and habits that stay the same in it."""
    kick, snare, hat = pick(rng, PATTERNS[pick(rng, families)])
    extra = list(kick)
    for step in (2, 3, 6, 7, 10, 11, 14, 15):
        if rng.random() < 0.05:
            extra[step] = "x"
    return {
        "kick": "".join(extra),
        "snare": snare,
        "hat": hat,
        "cymbal": pick(rng, {CLOSED: 6, RIDE: 2, OPEN: 0.7, PEDAL: 0.3, BELL: 0.3, CRASH: 0.4}),
        "backbeat": pick(rng, {SNARE: 8, 40: 3, CLAP: 0.6, STICK: 0.7}),
        "percussion": pick(rng, {None: 5, TAMBOURINE: 2, SHAKER: 1.5, COWBELL: 0.5, CLAP: 0.5,
                                 CONGA_HIGH: 0.7}),
        "hat_gain": float(rng.uniform(0.5, 0.95)),
        "accent": float(rng.uniform(0.0, 0.3)),
    }  # fmt: skip


def _percussion(rng, key: int, beat: float) -> list:
    if key in (TAMBOURINE, SHAKER):
        marks = "x.xox.xox.xox.xo" if key == TAMBOURINE else "xoxoxoxoxoxoxoxo"
    elif key == CONGA_HIGH:
        marks = "..x.x.oo..x.x..o"
    else:
        marks = "x...x...x...x..." if key == COWBELL else "....X.......X..."
    notes = _hits(marks, key, beat, 0.75, rng)
    if key == CONGA_HIGH:
        notes = [n._replace(pitch=pick(rng, (CONGA_HIGH, CONGA_LOW))) for n in notes]
    return notes


def bars(rng, beat_style: dict, section, first_crash: bool, intro: bool) -> list:
    """Every drum note of one section, in beats."""
    notes = []
    quiet = 0.7 + 0.3 * section.energy
    hats_only = intro and rng.random() < 0.25
    for index in range(section.bars):
        beat = (section.bar + index) * BEATS
        last = index == section.bars - 1
        filled = int(pick(rng, (4, 4, 8, 2, 16))) if last or rng.random() < 0.08 else 0
        if last and rng.random() < 0.15:
            filled = 0
        keep = STEPS - filled
        kick, snare, hat = (beat_style[name][:keep] for name in ("kick", "snare", "hat"))
        if index % 2 and rng.random() < 0.25:
            kick = kick[:-2] + pick(rng, ("x.", ".x", "..", "xx")) if len(kick) > 2 else kick
        cymbal = _hits(hat, beat_style["cymbal"], beat, beat_style["hat_gain"] * quiet, rng)
        notes += [
            n._replace(
                velocity=np_clip(n.velocity * (1 - beat_style["accent"] * (n.start % 1 > 0)))
            )
            for n in cymbal
        ]
        if not hats_only:
            notes += _hits(kick, KICK, beat, quiet, rng)
            notes += _hits(snare, beat_style["backbeat"], beat, quiet, rng)
            if beat_style["percussion"]:
                notes += _percussion(rng, beat_style["percussion"], beat)
        if filled:
            notes += fill(rng, beat, filled)
        if (index == 0 and first_crash) or (index % 4 == 0 and index and rng.random() < 0.4):
            notes.append(Note(beat, 1, pick(rng, (CRASH, CRASH, CRASH2, CHINA)), 0.95))
            notes.append(Note(beat, 0.2, KICK, 1.0))
    return notes
