"""What the traits of `kinds` change in a plan: the bass, the drums, guitars, keys, the voices."""

from . import casts, parts, placing, recordings, styles, treatment
from .compose import Plan
from .material import Stock
from .score import BEATS, Note, Part, pick


def _sub(plan: Plan, rng, stock: Stock) -> None:
    """Sub-bass with notes of any length: from an eighth of their steps to all of it and beyond."""
    instrument = casts.cast(rng, casts.SUBS, stock)
    notes = []
    pace = float(rng.choice((0.12, 0.25, 0.5, 0.8, 1.0)))
    lift = int(pick(rng, {0: 6, 12: 2}))
    styles_ = (
        "held",
        "kick",
        "eighths",
        "offbeat",
        "sixteenths",
        "octaves",
        "syncopated",
        "fifths",
    )
    manner = pick(rng, styles_)
    kick = pick(
        rng, ("x.......x.......", "x..x..x.........", "x.....x...x.....", "x...x...x...x...")
    )
    for section in plan.sections:
        if "bass" in section.active or rng.random() < 0.3:
            bars = range(section.bar, section.bar + section.bars)
            notes += parts.bass(rng, manner, plan.chords, bars, kick, plan.scale)
    notes = [n._replace(length=max(0.1, n.length * pace), pitch=n.pitch + lift) for n in notes]
    _replace_bass(plan, rng, instrument, notes)
    if rng.random() < 0.3:  # without drums above them
        plan.kit["notes"] = []


def _replace_bass(plan: Plan, rng, instrument: dict, notes: list) -> None:
    part = Part("bass", "bass", instrument, notes)
    treatment.player(rng, part)
    plan.parts = [part] + [p for p in plan.parts if p.source != "bass"]
    plan.takes = [take for take in plan.takes if take.source != "bass"]


def _recorded_bass(plan: Plan, rng, stock: Stock) -> None:
    """A real bass guitar or double bass; one line in four has phrases an octave up."""
    instrument = casts.cast(rng, casts.BASSES, stock)
    notes = [n for p in plan.parts if p.source == "bass" for n in p.notes]
    if not notes:  # the album's own bass plays, or none
        return
    if rng.random() < 0.25:
        high = {bar: rng.random() < 0.4 for bar in range(4096)}
        notes = [n._replace(pitch=n.pitch + 12 * high[int(n.start // BEATS)]) for n in notes]
    _replace_bass(plan, rng, instrument, notes)


def _without(source: str):
    def remove(plan: Plan, rng, stock: Stock) -> None:
        plan.parts = [part for part in plan.parts if part.source != source]
        plan.takes = [take for take in plan.takes if take.source != source]
        if source == "drums":
            plan.kit["notes"] = []

    return remove


def _soft_drums(plan: Plan, rng, stock: Stock) -> None:
    """Brushes or a quiet kit: ghost notes between the beats, a kick without a click."""
    soft = float(rng.uniform(0.3, 0.6))
    notes = [n._replace(velocity=max(0.05, n.velocity * soft)) for n in plan.kit["notes"]]
    ghosts = float(rng.uniform(0.1, 0.5))
    for n in list(notes):
        if n.pitch in (38, 40, 37, 42, 51) and rng.random() < ghosts:
            at = n.start + 0.25 * int(rng.integers(1, 4))
            notes.append(Note(at, 0.2, 38, float(rng.uniform(0.08, 0.25))))
    program = int(pick(rng, {40: 5, 32: 3, 0: 1, 8: 1}))
    room = placing.room(rng, stock) if rng.random() < 0.5 else []
    plan.kit |= {
        "notes": sorted(notes),
        "machine_only": set(),
        "programs": dict.fromkeys(("kick", "snare", "rest"), program),
        "crest": 6.0,
        "effects": {
            "kick": [("lowpass", float(rng.uniform(300, 2500)))],
            "snare": [("highpass", 90)],
            "rest": [("highpass", 60)],
            "bus": room,
        },
    }
    plan.levels_db["drums"] -= float(rng.uniform(2, 9))


def _long_kick(plan: Plan, rng, stock: Stock) -> None:
    plan.kit["boom"] = {
        "pitch": float(rng.uniform(26, 40)),
        "drive_db": float(rng.choice((0.0, 6.0, 12.0))),
        "drop": float(rng.uniform(0.5, 4.0)),
        "decay": float(rng.uniform(0.15, 0.6)),
        "ring": float(rng.uniform(0.2, 1.0)),
    }


def loop(rng, stock: Stock, wish: dict) -> dict | None:
    """A loop near the wished tempo; without a wish the song takes the loop's, a little changed."""
    there = []
    for path in stock.files("sonic-pi", "loops"):
        beats = casts.LOOPS.get(path.stem)
        if beats:
            tempo = beats * 60 / recordings.seconds(path)
            if not wish or 0.8 < wish["tempo"] / tempo < 1.25:
                there.append((path, beats, tempo))
    if not there:
        return None
    path, beats, tempo = there[int(rng.integers(len(there)))]
    wish.setdefault("tempo", tempo * 2 ** (float(rng.uniform(-3, 3)) / 12))
    order = list(range(beats))
    if rng.random() < 0.4:
        order = [int(rng.integers(beats)) if rng.random() < 0.3 else beat for beat in order]
    alone = bool(rng.random() < 0.6)
    return {"path": path, "beats": beats, "order": order, "alone": alone,
            "gain_db": float(rng.uniform(-3, 3))}  # fmt: skip


def _strokes(plan: Plan, rng, stock: Stock) -> None:
    plan.kit["strokes"] = casts.strokes(rng, stock)


def _bright_guitar(plan: Plan, rng, stock: Stock) -> None:
    """A guitar whose sound does not end at 5 kHz: strummed, picked or scratched."""
    role = pick(rng, ("strum", "picked", "scratch", "power"))
    instrument = casts.cast(rng, casts.CHORD_GUITARS, stock)
    if not instrument:
        name = pick(rng, ("steel", "twelve", "clean"))
        instrument = {"name": name, **styles.INSTRUMENTS[name]}
    else:
        instrument["manner"] = "struck"
    instrument["amp"] = "bright" if role == "power" or rng.random() < 0.4 else "open"
    _add_player(plan, rng, role, instrument, 45, 79)


def _low_keys(plan: Plan, rng, stock: Stock) -> None:
    """Chords and riffs between 80 and 300 Hz."""
    role = pick(rng, {"chords": 4, "picked": 2, "riff": 2})
    part = _add_player(plan, rng, role, casts.low_key(rng, stock), 36, 58)
    part.effects = placing.low(rng, part)


def _add_player(plan: Plan, rng, role: str, instrument: dict, low: int, high: int) -> Part:
    notes = []
    for section in plan.sections:
        if "other" in section.active:
            bars = range(section.bar, section.bar + section.bars)
            notes += parts.player(rng, role, plan.chords, bars, low, high, plan.scale)
    part = Part("other", role, instrument, notes, level_db=float(rng.uniform(-2, 4)))
    part.pan = float(rng.uniform(-0.6, 0.6))
    treatment.player(rng, part)
    plan.parts.append(part)
    return part


def _treated(plan: Plan, rng, stock: Stock) -> None:
    """One treatment for all voices of the song, real ones too."""
    name = pick(rng, placing.VOICES)
    chain = placing.voice(rng, name, stock)
    if name == "tuned":
        flat = {"vibrato_semitones": 0.0, "scoop_semitones": 0.0, "glide_seconds": 0.005,
                "drift": 0.0}  # fmt: skip
        for layer in plan.singing:
            layer["singer"] = {**layer["singer"], **flat}
    if name == "soft":
        for layer in plan.singing:
            layer["singer"] = {**layer["singer"], "breath": 0.45, "rasp": 0.0}
        plan.levels_db["vocals"] -= float(rng.uniform(3, 8))
    for layer in plan.singing:
        layer["effects"] = [*layer["effects"], *chain]
    for index, take in enumerate(plan.takes):
        if take.source == "vocals":
            plan.takes[index] = take._replace(effects=(*take.effects, *chain))
    plan.kind["voice"] = name


# What each trait of `kinds.TRAITS` does, but "loop", which decides the tempo and comes first.
CHANGES = {
    "sub": _sub,
    "recorded bass": _recorded_bass,
    "no drums": _without("drums"),
    "no bass": _without("bass"),
    "no other": _without("other"),
    "soft drums": _soft_drums,
    "long kick": _long_kick,
    "strokes": _strokes,
    "bright guitar": _bright_guitar,
    "low keys": _low_keys,
    "treated voice": _treated,
}
