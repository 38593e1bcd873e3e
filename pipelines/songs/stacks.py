"""Stacks of voices: three to eight that sing the same words, or vowels, in harmony."""

from . import melody
from .score import BEATS, pick

SPREAD = {3: 4, 4: 4, 5: 2, 6: 2, 7: 1, 8: 1}  # how many voices


def stack(rng, sections: list, chords: list, scale: list, tempo: float) -> list:
    """Layers of singers, as `compose` has them, without effects; none is above the others."""
    count = int(pick(rng, SPREAD))
    people = [melody.singer(rng) for _ in range(int(rng.integers(1, 4)))]
    style = pick(rng, {"sung": 4, "straight": 3, "calls": 2, "tuned": 1})
    if style in ("straight", "tuned"):
        for who in people:
            who |= {"vibrato_semitones": 0.05}
    spans = [(s.bar * BEATS, (s.bar + s.bars) * BEATS) for s in sections if "vocals" in s.active]
    who = people[0]
    held = rng.random() < 0.4
    if held:  # chords on one vowel, in several octaves
        word = pick(rng, ("ah", "ooh", "oh", "la", "na"))
        voices = []
        while len(voices) < count:
            low = who["low"] + int(pick(rng, (0, 5, 9, 12)))
            voices += melody.choir(rng, chords, spans, low, low + 18, word)
    else:
        lead = melody.lead(rng, sections, chords, who, scale, tempo, style)
        voices = [lead]
        for index in range(count - 1):
            above = bool(index % 2)
            base = voices[int(rng.integers(len(voices)))]
            if rng.random() < 0.2:
                voices.append([n._replace(pitch=n.pitch + (12 if above else -12)) for n in base])
            elif rng.random() < 0.25:
                voices.append(list(base))  # the same once more, not quite together
            else:
                voices.append(melody.harmony(base, chords, scale, above, spans))
    layers = []
    for index, notes in enumerate(voices[:count]):
        person = people[index % len(people)]
        near = [_within(n, person) for n in notes]
        if near:
            layers.append({"role": "stack", "style": style, "singer": person, "notes": near,
                           "gain_db": float(rng.uniform(-4, 0)),
                           "pan": float(rng.uniform(-0.9, 0.9))})  # fmt: skip
    return layers


def _within(note, who: dict):
    """The note by octaves within what a singer can sing."""
    pitch = note.pitch
    while pitch > who["high"] + 3:
        pitch -= 12
    while pitch < who["low"] - 3:
        pitch += 12
    return note._replace(pitch=pitch)
