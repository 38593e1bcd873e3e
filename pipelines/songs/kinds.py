"""Which kinds of song are made from recordings, how often, and why: one table.

A song has one centre, which carries its middle, and any of the traits, each drawn for itself. The
reasons are what a model that was trained without them did wrong with real music.
"""

from typing import NamedTuple

from . import material
from .material import Stock
from .score import pick, stream


class Kind(NamedTuple):
    """A kind of song: its share of all songs, 0..1, why, and an entry it cannot do without."""

    share: float
    reason: str
    needs: str = ""


CENTRES = {
    "singer": Kind(0.26, "a lead voice near the listener: what most songs have"),
    "line": Kind(0.23, "guitar, sax, arpeggio and no voice at all: single lines became vocals"),
    "both": Kind(0.14, "such a line beside a voice: what tells them apart is not their place"),
    "stack": Kind(0.11, "3 to 8 voices 3 to 12 dB under the rest, far away: they became other"),
    "guest": Kind(0.14, "real singing over a generated band: the spoken words are few", "vocals"),
    "album": Kind(
        0.04, "a real song, its bass played anew: levels and rooms of a record", "vocals"
    ),
    "track": Kind(0.08, "a real guitar from start to end: bends, slides, amplifier", "guitar"),
}
TRAITS = {
    "sub": Kind(0.14, "sub-bass and 808 of all lengths: they became drums"),
    "recorded bass": Kind(0.40, "a real bass with frets and scrapes: it became other", "bass"),
    "no drums": Kind(0.12, "nothing but notes has an onset: bass became other, attacks drums"),
    "no bass": Kind(0.08, "low guitar, piano and kick without a bass below: they became bass"),
    "no other": Kind(0.04, "voice, bass and drums alone: an empty stem is silent"),
    "soft drums": Kind(
        0.12, "brushes, ghost notes, a kick that is felt: they became bass and other"
    ),
    "long kick": Kind(0.09, "a kick that rings like a note and is none: it became bass"),
    "loop": Kind(0.13, "a drummer in a room, all sounds at once", "loops"),
    "strokes": Kind(0.25, "other drums than the soundfonts'", "strokes"),
    "bright guitar": Kind(0.14, "guitars above 3 kHz: their octaves became drums"),
    "low keys": Kind(0.16, "piano and guitar at 80 to 300 Hz in other: they became bass"),
    "treated voice": Kind(0.25, "tuned, filtered, far or hissing voices: other and drums got them"),
}
# What a recorded centre or trait needs: any of these shelves.
NEEDS = {
    "vocals": ((material.ALBUM, "stems"),),
    "guitar": (("sectoid", "guitar"),),
    "bass": (("growlybass", "notes"), ("meatbass", "pizz"), ("pastabass", "spaghetti")),
    "loops": (("sonic-pi", "loops"),),
    "strokes": (("sonic-pi", "strokes"), ("web-audio-samples", "kits")),
}


def possible(table: dict, stock: Stock) -> dict:
    """Of a table of kinds those that can be made with the recordings below `stock`."""
    return {
        name: kind for name, kind in table.items()
        if not kind.needs or any(stock.files(*shelf) for shelf in NEEDS[kind.needs])
    }  # fmt: skip


def draw(seed: int, stock: Stock) -> tuple:
    """(centre, traits in the table's order) of a song.

    The same seed and recordings draw the same. Traits that would leave nothing to play or speak of
    what is not there are dropped: no drums have no kind of drums.
    """
    rng = stream(seed, "kind")
    centres = possible(CENTRES, stock)
    centre = pick(rng, {name: kind.share for name, kind in centres.items()})
    able = possible(TRAITS, stock)
    chances = {name: rng.random() for name in TRAITS}  # for all, so that what lacks moves no other
    traits = [name for name in able if chances[name] < TRAITS[name].share]
    dropped = set()
    if "no drums" in traits:
        dropped |= {"soft drums", "long kick", "loop", "strokes"}
    if "no bass" in traits:
        dropped |= {"sub", "recorded bass"}
    if centre in ("line", "both", "track", "album"):  # their middle is in "other"
        dropped |= {"no other"}
    if centre == "album":  # its drums are its own
        dropped |= {"no drums", "no bass", "soft drums", "long kick", "loop", "strokes"}
    if centre in ("line", "track"):
        dropped |= {"treated voice"}
    if "no other" in traits and "no other" not in dropped:
        dropped |= {"no drums", "no bass", "bright guitar", "low keys"}
    if "loop" in traits:
        dropped |= {"long kick", "strokes"}
    if "sub" in traits:
        dropped |= {"recorded bass"}
    return centre, tuple(name for name in traits if name not in dropped)
