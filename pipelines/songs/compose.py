"""From a seed to a plan: tempo, key, chords, sections, and every player's notes. No sound yet."""

from dataclasses import dataclass, field

from . import drums, melody, parts, styles, treatment
from .score import BEATS, SOURCES, Chord, Clock, Part, Section, pick, stream


@dataclass
class Plan:
    """All that is decided about a song before a sound is made."""

    seed: int
    style: str
    mode: str
    key: int
    clock: Clock
    sections: list
    chords: list
    kit: dict
    parts: list
    singing: list
    levels_db: dict
    master: dict
    takes: list = field(default_factory=list)  # excerpts of recorded performances
    kind: dict = field(default_factory=dict)  # of a song with recordings: `kinds`

    @property
    def scale(self) -> list:
        """The pitches of the scale, from the key upwards."""
        return [self.key + s for s in styles.SCALES[self.mode]]

    def description(self) -> dict:
        """The plan in plain values, for a JSON file."""
        return {
            "seed": self.seed,
            "style": self.style,
            "tempo": self.clock.tempo,
            "first_beat_seconds": self.clock.offset_seconds,
            "swing": self.clock.swing,
            "key": self.key,
            "mode": self.mode,
            "sections": [
                {"name": s.name, "bar": s.bar, "bars": s.bars, "active": list(s.active)}
                for s in self.sections
            ],
            "chords": [[c.start, c.length, c.root, list(c.intervals)] for c in self.chords],
            "parts": [[p.source, p.role, p.instrument["name"]] for p in self.parts],
            "singers": [[layer["role"], layer["singer"]["kind"]] for layer in self.singing],
            "levels_db": self.levels_db,
            **({"kind": self.kind} if self.kind else {}),
        }


def _sections(rng, bars: int, full: bool) -> list:
    """Cuts the song into sections of 2, 4 or 8 bars, each with the sources that play in it."""
    everything = tuple(SOURCES)
    if full:
        return [Section("chorus", 0, bars, everything, 1.0)]
    # A song excerpt starts anywhere: an intro is only one way.
    order = pick(rng, (
        ("intro", "verse", "chorus", "break", "verse", "chorus", "bridge", "chorus"),
        ("verse", "chorus", "verse", "chorus", "break", "chorus"),
        ("verse", "chorus", "solo", "chorus", "break", "verse"),
        ("chorus", "verse", "chorus", "bridge", "chorus"),
        ("intro", "verse", "chorus", "solo", "verse", "chorus"),
        ("solo", "verse", "chorus", "intro", "verse", "chorus"),
    ))  # fmt: skip
    out, bar, index = [], 0, 0
    while bar < bars:
        name = order[index % len(order)]
        length = int(pick(rng, {"intro": (2, 4), "break": (2, 4)}.get(name, (2, 4, 4, 4, 8))))
        length = min(length, bars - bar)
        silent = {
            "intro": {("vocals",): 5, ("vocals", "bass"): 2, ("drums", "vocals"): 2,
                      ("vocals", "bass", "drums"): 1, ("vocals", "other"): 1, (): 1},
            "verse": {(): 9, ("drums",): 0.7, ("bass",): 0.5, ("other",): 0.6},
            "chorus": {(): 1},
            "bridge": {(): 3, ("drums", "bass"): 1, ("drums",): 1},
            "solo": {("vocals",): 1},
            "break": {("vocals",): 2, ("drums",): 1.5, ("bass", "other"): 1, ("bass", "drums"): 1.5,
                      ("drums", "vocals"): 1, ("other",): 0.7, ("bass", "drums", "other"): 0.7},
        }[name]  # fmt: skip
        quiet = pick(rng, silent)
        energy = {"chorus": 1.0, "solo": 0.95, "verse": 0.75}.get(name, 0.6)
        active = tuple(s for s in everything if s not in quiet)
        out.append(Section(name, bar, length, active, energy))
        bar, index = bar + length, index + 1
    return out


def _chords(rng, sections: list, style: dict, mode: str, key: int) -> list:
    """One progression a kind of section; triads of the scale, sometimes sevenths or sus chords."""
    scale = styles.SCALES[mode]
    colour = rng.uniform(0, 0.35)
    slow = rng.random() < 0.2
    songs = {}
    out = []
    for section in sections:
        if section.name not in songs:
            degrees = pick(rng, styles.PROGRESSIONS[mode])
            if rng.random() < 0.15:
                degrees = tuple(pick(rng, degrees) for _ in range(4))
            songs[section.name] = (degrees, rng.random() < 0.15)
        degrees, twice = songs[section.name]
        for index in range(section.bars):
            halves = 2 if twice and index % 4 == 3 else 1
            for half in range(halves):
                place = index // (2 if slow else 1) + half
                degree = degrees[place % len(degrees)]
                tones = [scale[(degree + k) % 7] + 12 * ((degree + k) // 7) for k in (0, 2, 4, 6)]
                intervals = tuple(t - tones[0] for t in tones)
                size = 4 if rng.random() < colour else 3
                start = (section.bar + index) * BEATS + half * BEATS / 2
                root = (key + scale[degree]) % 12
                out.append(Chord(start, BEATS / halves, root, intervals[:size]))
    return out


def _bass(rng, style: dict, sections, chords, grooves, scale) -> Part:
    notes = []
    for section in sections:
        manner = pick(stream(int(rng.integers(1 << 30)), section.name), style["bass"])
        if "bass" in section.active:
            bars = range(section.bar, section.bar + section.bars)
            notes += parts.bass(rng, manner, chords, bars, grooves[section.name]["kick"], scale)
    names = style["bass"]
    shelf = "electric"
    if rng.random() < style["synthetic"]:
        shelf = "synth"
    elif "slap" in names and rng.random() < 0.5:
        shelf = "slap"
    elif "walking" in names and rng.random() < 0.4:
        shelf = "acoustic"
    name = pick(rng, styles.BASSES[shelf])
    instrument = {"name": name, **styles.INSTRUMENTS[name]}
    return Part("bass", "bass", instrument, notes)


def _others(rng, style: dict, sections, chords, scale) -> list:
    """Two to five players, each with its own register, and its own places to be silent."""
    count = int(pick(rng, {2: 2, 3: 4, 4: 3, 5: 1.5}))
    pans = [float(x) for x in rng.permutation([-0.7, 0.65, -0.35, 0.4, 0.0])]
    out = []
    for index in range(count):
        role = pick(rng, style["other"])
        if any(part.role == role for part in out):
            role = pick(rng, style["other"])
        names, low, high, double = styles.ROLES[role]
        name = pick(rng, names)
        instrument = {"name": name, **styles.INSTRUMENTS[name]}
        busy = 1.0 if index == 0 else rng.uniform(0.5, 1.0)
        melodic = role in ("lead", "synthlead", "fiddle", "reeds")
        notes = []
        taken = {}
        for section in sections:
            if "other" not in section.active:
                continue
            if section.name not in taken:
                taken[section.name] = rng.random() < busy
            wanted = taken[section.name] or section.name == "chorus" and rng.random() < 0.7
            if melodic:
                wanted = section.name in ("solo", "intro") or rng.random() < 0.45
            if wanted:
                local = stream(int(rng.integers(1 << 30)), section.name)
                bars = range(section.bar, section.bar + section.bars)
                notes += parts.player(local, role, chords, bars, low, high, scale)
        level = float(rng.normal(-1.0 if melodic else 0.0 if index == 0 else -2.0, 2.5))
        part = Part("other", role, instrument, notes, level_db=level)
        part.double = bool(rng.random() < double)
        part.pan = 0.0 if part.double else pans[index] * float(rng.uniform(0.3, 1.1))
        out.append(part)
    return [p for p in out if p.notes]


def _singing(rng, sections, chords, scale, tempo: float) -> list:
    """Layers of voices: a lead, and by chance a double, harmonies, a choir, ad-libs."""
    style = pick(rng, melody.STYLES)
    who = melody.singer(rng)
    if style == "tuned":
        who |= {"vibrato_semitones": 0.05, "scoop_semitones": 0.0, "glide_seconds": 0.005}
    elif style == "straight":
        who |= {"vibrato_semitones": 0.08}
    lead = melody.lead(rng, sections, chords, who, scale, tempo, style)
    layers = [{"role": "lead", "style": style, "singer": who, "notes": lead, "gain_db": 0.0,
               "pan": float(rng.normal(0, 0.04))}]  # fmt: skip
    spans = [(s.bar * BEATS, (s.bar + s.bars) * BEATS) for s in sections
             if "vocals" in s.active and s.name in ("chorus", "bridge")]  # fmt: skip

    def add(role, notes, gain_db, pan, person=None):
        if notes:
            layers.append({"role": role, "style": style, "singer": person or who, "notes": notes,
                           "gain_db": float(gain_db), "pan": float(pan)})  # fmt: skip

    if rng.random() < 0.3:
        wide = rng.uniform(0, 0.6)
        part = lead if rng.random() < 0.4 else [
            n for n in lead if any(a <= n.start < b for a, b in spans)]  # fmt: skip
        add("double", part, rng.uniform(-8, -3), wide)
    if style != "rap" and rng.random() < 0.45:
        for above in (True, False)[: int(pick(rng, (1, 1, 2)))]:
            other = who if rng.random() < 0.5 else melody.singer(rng)
            notes = melody.harmony(lead, chords, scale, above, spans)
            add("harmony", notes, rng.uniform(-9, -4), rng.uniform(-0.7, 0.7), other)
    if rng.random() < 0.2:
        person = melody.singer(rng)
        word = pick(rng, ("ah", "ooh", "oh", "la"))
        for line in melody.choir(rng, chords, spans, person["low"] + 4, person["high"], word):
            add("choir", line, rng.uniform(-12, -7), rng.uniform(-0.8, 0.8), person)
    if rng.random() < 0.2:
        person = who if rng.random() < 0.5 else melody.singer(rng)
        add("shouts", melody.shouts(rng, spans, person, scale), -5, rng.uniform(-0.5, 0.5), person)
    return layers[:5]


def compose(seed: int, seconds: float, full: bool = False, wish: dict | None = None) -> Plan:
    """Plans a song that fills `seconds`; `full` keeps all four sources playing throughout.

    `wish` fixes its "tempo", "key" or "mode".
    """
    wish = wish or {}
    rng = stream(seed, "song")
    name = pick(rng, {key: style["weight"] for key, style in styles.STYLES.items()})
    style = styles.STYLES[name]
    tempo = wish.get("tempo", float(round(rng.uniform(*style["tempo"]), 1)))
    mode = wish.get("mode", pick(rng, style["modes"]))
    key = wish.get("key", int(rng.integers(12)))
    swing = style["swing"] * float(rng.uniform(0.5, 1.2)) if style["swing"] else 0.0
    clock = Clock(tempo, float(rng.uniform(0.03, 0.2)), swing, 0.5 if swing > 0.2 else 0.25)
    bars = int(seconds / (BEATS * 60 / tempo)) + 1
    sections = _sections(stream(seed, "sections"), bars, full)
    chords = _chords(stream(seed, "chords"), sections, style, mode, key)
    scale = [key + s for s in styles.SCALES[mode]]

    beat = stream(seed, "drums")
    first = drums.groove(beat, style["drums"])
    grooves = {s.name: first if beat.random() < 0.5 else drums.groove(beat, style["drums"])
               for s in sections}  # fmt: skip
    hits = []
    for index, section in enumerate(sections):
        if "drums" in section.active:
            crash = beat.random() < 0.75
            hits += drums.bars(beat, grooves[section.name], section, crash, index == 0)
    kit = treatment.kit(beat, style["kits"], style["synthetic"])
    kit["notes"] = [n for n in hits if n.start < bars * BEATS]

    players = [_bass(stream(seed, "bass"), style, sections, chords, grooves, scale)]
    players += _others(stream(seed, "other"), style, sections, chords, scale)
    for index, part in enumerate(players):
        treatment.player(stream(seed, "treat", index), part)
    voice = stream(seed, "vocals")
    singing = _singing(voice, sections, chords, scale, tempo)
    vocal_chain = treatment.vocals(voice, tempo)
    for layer in singing:
        layer["effects"] = vocal_chain
    mix = stream(seed, "mix")
    levels = {"bass": -1.0, "drums": 0.0, "vocals": 0.3, "other": 0.3}
    levels = {s: levels[s] + float(mix.normal(0, 2.0)) for s in SOURCES}
    master = {"peak": float(mix.uniform(0.55, 0.95)), "glue": bool(mix.random() < 0.6)}
    return Plan(seed, name, mode, key, clock, sections, chords, kit, players, singing, levels,
                master)  # fmt: skip
