"""Songs with recordings: a plan of `compose`, its middle and its parts changed by its kind."""

from . import (
    casts,
    kinds,
    melody,
    neural,
    parts,
    placing,
    recordings,
    stacks,
    takes,
    traits,
    treatment,
)
from .compose import Plan, compose
from .material import Stock
from .score import BEATS, SOURCES, Note, Part, pick, stream


def arrange(seed: int, seconds: float, stock: Stock) -> Plan:
    """Plans song `seed` of one of the kinds in `kinds`, with what recordings are below `stock`."""
    centre, names = kinds.draw(seed, stock)
    rng = stream(seed, "arrange")
    found, wish = None, {}
    if centre in ("guest", "album"):
        found = takes.choose(rng, stock, takes.SONGS, takes.voices)
    elif centre == "track":
        found = takes.choose(rng, stock, takes.GUITARS, takes.guitar)
    if found:
        wish = takes.wish(*found[1:])
    loop = traits.loop(rng, stock, wish) if "loop" in names else None
    plan = compose(seed, seconds, wish=wish)
    plan.kind = {"centre": centre, "traits": list(names)}
    {"singer": _singer, "line": _line, "both": _both, "stack": _stack, "guest": _guest,
     "album": _album, "track": _track}[centre](plan, rng, stock, seconds, found)  # fmt: skip
    _lines_of_parts(plan, stream(seed, "bent"), stock)
    _voices(plan, stream(seed, "voices"))
    for name in names:
        if name in traits.CHANGES:
            traits.CHANGES[name](plan, stream(seed, "trait", name), stock)
    if loop:
        plan.kit["loop"] = loop
    return plan


def _everywhere(plan: Plan) -> list:
    """The sections, those without "other" or vocals too: for a line that takes a voice's place."""
    return [s._replace(active=SOURCES) for s in plan.sections]


def line(plan: Plan, rng, stock: Stock, busy: float) -> Part:
    """A player of an expressive line in the middle, in the share `busy` of the two-bar phrases."""
    style = pick(rng, {"melody": 4, "solo": 3, "arpeggio": 2, "riff": 1.2})
    table = casts.ARPEGGIOS if style == "arpeggio" else casts.LINES
    instrument = casts.cast(rng, table, stock)
    low, high = instrument["low"], instrument["high"]
    low = int(rng.integers(low, max(low + 1, high - 18)))
    high = min(high, low + int(rng.integers(15, 25)))
    scale, bars = plan.scale, range(plan.sections[-1].bar + plan.sections[-1].bars)
    if style == "melody":
        who = {"low": low, "high": high}
        how = pick(rng, {"sung": 5, "calls": 2, "straight": 2})
        tempo = plan.clock.tempo
        sung = melody.lead(rng, _everywhere(plan), plan.chords, who, scale, tempo, how)
        notes = [Note(n.start, n.length, n.pitch, n.velocity) for n in sung]
    elif style == "arpeggio":
        notes = parts.broken_chords(rng, "arpeggio", plan.chords, bars, low, high)
    else:
        role = "riff" if style == "riff" else "lead"
        notes = []
        for bar in range(0, len(bars), 8):  # another motif every eight bars
            some = range(bar, min(bar + 8, len(bars)))
            notes += parts.line(rng, role, plan.chords, some, low, high, scale)
    kept = {bar: rng.random() < busy for bar in range(0, len(bars) + 2, 2)}
    notes = [n for n in notes if kept[int(n.start // (2 * BEATS)) * 2]]
    part = Part("other", f"line {style}", instrument, notes)
    part.pan = float(rng.normal(0, 0.05))
    placing.line(rng, part, stock)
    return part


def _singer(plan, rng, stock, seconds, found) -> None:
    pass


def _line(plan, rng, stock, seconds, found) -> None:
    plan.singing = []
    part = line(plan, rng, stock, float(rng.uniform(0.6, 1.0)))
    part.level_db = float(rng.uniform(1, 7))
    # Now and then there is nothing beside it in its stem.
    keep = rng.random() > 0.25
    plan.parts = [p for p in plan.parts if keep or p.source == "bass"] + [part]
    plan.levels_db["other"] += float(rng.uniform(0, 3))


def _both(plan, rng, stock, seconds, found) -> None:
    part = line(plan, rng, stock, float(rng.uniform(0.35, 0.8)))
    part.level_db = float(rng.uniform(-1, 5))
    plan.parts.append(part)


def _stack(plan, rng, stock, seconds, found) -> None:
    plan.singing = stacks.stack(rng, plan.sections, plan.chords, plan.scale, plan.clock.tempo)
    chain = placing.far(rng, stock)
    for layer in plan.singing:
        layer["effects"] = chain
    _under(plan, rng, 3.0, 12.0)


def _under(plan, rng, least_db: float, most_db: float) -> None:
    """Sets the vocals so far below the mean level of the others."""
    others = [plan.levels_db[s] for s in SOURCES if s != "vocals"]
    plan.levels_db["vocals"] = sum(others) / 3 - float(rng.uniform(least_db, most_db))


def _guest(plan, rng, stock, seconds, found) -> None:
    name, song, shift = found
    voices = takes.voices(stock, name)
    lead = tuple(p for p in voices if p.stem == takes.LEAD)
    backing = tuple(p for p in voices if p.stem != takes.LEAD)
    which = pick(rng, {"all": 4, "lead": 4, "backing": 3})
    chosen = {"all": voices, "lead": lead, "backing": backing}[which]
    if not takes.heard(chosen, song.part):
        which, chosen = "all", voices
    _take(plan, rng, "vocals", chosen, song, shift, seconds)
    chain = placing.guest(rng, stock)
    if which == "backing":
        chain = placing.far(rng, stock) if rng.random() < 0.6 else chain
        _under(plan, rng, 3.0, 12.0)
    plan.takes[-1] = plan.takes[-1]._replace(effects=tuple(chain))
    # Singers of our own beside the real one, in a song in five.
    plan.singing = plan.singing[1:3] if rng.random() < 0.2 else []
    if rng.random() < 0.25:
        _both(plan, rng, stock, seconds, found)


def _take(plan, rng, source: str, paths: tuple, song, shift: int, seconds: float, start=None):
    """Adds an excerpt that begins with a bar of the plan; returns where it was taken from."""
    speed = 2 ** (shift / 12)
    if start is None:
        start = takes.begin(rng, paths, song.tempo, seconds * speed, song.part)
    at, until = plan.clock.offset_seconds, song.part * recordings.seconds(paths[0])
    plan.takes.append(takes.Take(source, paths, start, speed, at, 0.0, (), until))
    return start


def _album(plan, rng, stock, seconds, found) -> None:
    name, song, shift = found
    voices = takes.voices(stock, name)
    start = _take(plan, rng, "vocals", voices, song, shift, seconds)
    for source in ("drums", "bass", "other"):
        paths = takes.stems(stock, name, source)
        if paths:
            _take(plan, rng, source, paths, song, shift, seconds, start)
    plan.kit["notes"] = []
    plan.singing = []
    played = any(take.source == "bass" for take in plan.takes)
    plan.parts = [part for part in plan.parts if part.source == "bass" and not played]


def _track(plan, rng, stock, seconds, found) -> None:
    name, song, shift = found
    _take(plan, rng, "other", takes.guitar(stock, name), song, shift, seconds)
    chain = placing.room(rng, stock) if rng.random() < 0.3 else []
    plan.takes[-1] = plan.takes[-1]._replace(gain_db=float(rng.uniform(0, 6)), effects=tuple(chain))
    guitars = casts.GUITAR_ROLES
    plan.parts = [p for p in plan.parts if p.source == "bass" or p.role not in guitars]
    if rng.random() < 0.6:
        plan.singing = []


def _voices(plan: Plan, rng) -> None:
    """The neural voice sings two in five of the higher parts, where its package is."""
    for layer in plan.singing:
        taken = rng.random() < 0.4
        if taken and neural.hibari and layer["singer"]["low"] >= 54:
            layer["singer"] = {**layer["singer"], "voice": neural.NAME}


def _lines_of_parts(plan: Plan, rng, stock: Stock) -> None:
    """Leads, riffs and fiddles bend as well; two guitars in five are recorded ones."""
    for part in plan.parts:
        if part.source != "other" or "line" in part.instrument:
            continue
        amp = part.instrument.get("amp")
        guitar = None
        if part.role in casts.GUITAR_ROLES and amp and rng.random() < 0.4:
            guitar = casts.cast(rng, casts.CHORD_GUITARS, stock)
        if guitar:
            if part.role not in casts.LINE_ROLES:
                guitar["manner"] = "struck"
            # "cab" is for samples that are distorted already.
            part.instrument = {**guitar, "amp": "high" if amp == "cab" else amp}
            treatment.player(rng, part)
        elif part.role in casts.LINE_ROLES:
            part.instrument = {**part.instrument, **_bent(rng, part, amp)}


def _bent(rng, part: Part, amp: str | None) -> dict:
    """How an instrument without recordings plays a line: by its soundfont, or an oscillator."""
    if "programs" not in part.instrument:
        patch = pick(rng, ("saw_lead", "square_lead", "flute_lead"))
        return {"line": ("synth", patch), "manner": "glide"}
    sounds = ("font", int(rng.integers(2)), *pick(rng, part.instrument["programs"]))
    manner = "plucked" if amp else "bowed" if part.role == "fiddle" else "blown"
    return {"line": sounds, "manner": manner}
