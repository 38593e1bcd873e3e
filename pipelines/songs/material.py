"""Recordings that songs may be made of: what there is, under which licence, what is held out.

`--material FOLDER` names a folder with one folder per entry of ENTRIES, laid out as its source is.
Nothing of it is in this repository. A recording that `held_out` names is never in a song: it is
for testing, and so are the songs of Caesium.
"""

import re
import zlib
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from xumx_jax.errors import UserError

SYSTEM = Path("/")  # where a Debian package of an entry is installed


class Shelf(NamedTuple):
    """Files of one kind in an entry: a pattern and, where they are notes, how to read their names.

    `octaves` is added to the octave in a name (middle C is c4 = MIDI 60). `manner` says how lines
    of these notes are played (`lines.MANNERS`); "" where they are no notes.
    """

    pattern: str
    manner: str = ""
    octaves: int = 0


class Entry(NamedTuple):
    """One source of recordings: its licence, where it comes from, and its shelves by name."""

    licence: str
    source: str
    package: bool  # whether a Debian package brings it
    shelves: dict


GITHUB = "https://github.com/"
ALBUM = "everything-is-free"
ENTRIES = {
    ALBUM: Entry(
        "CC0 1.0",
        GITHUB + "ichbinsoftware/everythingisremixed",
        False,
        {"stems": Shelf("*/*.flac")},
    ),
    "sectoid": Entry(
        "MIT",
        "fretsonfire-songs-sectoid",
        True,
        {"guitar": Shelf("usr/share/games/fretsonfire/data/songs/sectoid/*/guitar.ogg")},
    ),
    "emilyguitar": Entry(
        "CC0 1.0",
        GITHUB + "sfzinstruments/karoryfer.emilyguitar",
        False,
        {"notes": Shelf("notes/*.wav", "plucked"), "noises": Shelf("noises/*.wav")},
    ),
    "growlybass": Entry(
        "CC0 1.0",
        GITHUB + "sfzinstruments/karoryfer.growlybass",
        False,
        {
            "notes": Shelf("sustain/*.wav", "bass", -1),
            "staccato": Shelf("staccato/*.wav", "bass", -1),
            "noises": Shelf("scrape/*.wav"),
        },
    ),
    "pastabass": Entry(
        "CC0 1.0",
        GITHUB + "sfzinstruments/karoryfer.pastabass",
        False,
        {
            name: Shelf(f"samples/{name}/*.wav", "bass", -1)
            for name in ("spaghetti", "linguine", "tagliatelle", "fetuccine")
        },
    ),
    "meatbass": Entry(
        "CC0 1.0",
        GITHUB + "sfzinstruments/karoryfer.meatbass",
        False,
        {
            "pizz": Shelf("Samples/pizz/[a-g]*.wav", "bass"),
            "arco": Shelf("Samples/arco/*.wav", "bowed"),
        },
    ),
    "weresax": Entry(
        "CC0 1.0",
        GITHUB + "sfzinstruments/karoryfer.weresax",
        False,
        {
            "dynamic": Shelf("Samples/alto/*_dnm.wav", "blown", 1),
            "condenser": Shelf("Samples/alto/*_cnd.wav", "blown", 1),
        },
    ),
    "blackgreen": Entry(
        "CC0 1.0",
        GITHUB + "kmturley/karoryfer.black-and-green-guitars",
        False,
        {
            "black": Shelf("Samples/black/ord/*.wav", "plucked", -1),
            "green": Shelf("Samples/green/ord/*.wav", "plucked", -1),
        },
    ),
    "shinyguitar": Entry(
        "CC0 1.0",
        GITHUB + "sfzinstruments/karoryfer.shinyguitar",
        False,
        {
            "electric": Shelf("Samples/electric/*_vl*.wav", "plucked"),
            "acoustic": Shelf("Samples/acoustic/*_vl*.wav", "plucked"),
        },
    ),
    "sonic-pi": Entry(
        "CC0 1.0, each file",
        "sonic-pi-samples",
        True,
        {
            "loops": Shelf("usr/share/sonic-pi/samples/loop_*.flac"),
            "strokes": Shelf("usr/share/sonic-pi/samples/[bdes][dlrn]*_*.flac"),
        },
    ),
    "web-audio-samples": Entry(
        "Apache 2.0",
        GITHUB + "GoogleChromeLabs/web-audio-samples",
        False,
        {
            "kits": Shelf("src/sounds/drum-samples/*/*.wav"),
            "rooms": Shelf("src/sounds/impulse-responses/*.wav"),
        },
    ),
}
NOTE = re.compile(r"(?:^|_)([a-g])(b?)(\d)(?=_|$)")
FORCE = re.compile(r"_(pp|mp|mf|ff|p|f|vl\d)(?=_|$)")
FORCES = {"pp": 0.2, "p": 0.35, "mp": 0.5, "mf": 0.65, "f": 0.85, "ff": 1.0,
          "vl1": 0.35, "vl2": 0.55, "vl3": 0.75, "vl4": 0.9, "vl5": 1.0}  # fmt: skip
SEMITONES = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
# What is held out by name: songs and kits by their folder, loops.
TESTED = {
    ALBUM: ("caesium",),
    "sectoid": ("War of freedom",),
    "web-audio-samples": ("CR78", "breakbeat13"),
    "sonic-pi": ("loop_breakbeat", "loop_mehackit2", "loop_perc2"),
}
ONE_IN = 5


class Recorded(NamedTuple):
    """A recorded note: its file, its MIDI pitch, and how hard it was played, 0..1."""

    path: Path
    pitch: float
    force: float


def pitch_of(stem: str, octaves: int = 0) -> float | None:
    """The MIDI pitch in a file's name, "twang_bb3_f_rr1" -> 58; None where there is none."""
    found = NOTE.search(stem)
    if not found:
        return None
    letter, flat, octave = found.groups()
    return 12.0 * (int(octave) + 1 + octaves) + SEMITONES[letter] - len(flat)


def held_out(name: str) -> bool:
    """Whether a recording is for testing only: `name` is "entry/path/in/it", as below the material.

    Of each instrument one note in five, with all its takes: every fifth minor third of its range,
    so that the nearest note that is left is at most three semitones away. Of strokes one in five,
    by a digest of their names; songs, kits and loops by the names in TESTED. Rooms make no sound of
    their own and are not held out. Raises UserError for an entry that is not in ENTRIES.
    """
    entry, _, rest = name.partition("/")
    if entry not in ENTRIES:
        raise UserError(f"{name}: wanted ENTRY/PATH with one of {', '.join(ENTRIES)}")
    path = Path(rest)
    tested = TESTED.get(entry, ())
    if path.parent.name in tested or path.stem in tested:
        return True
    pitch = pitch_of(path.stem)
    if pitch is not None:
        return int(pitch) // 3 % ONE_IN == 2
    if entry in (ALBUM, "sectoid", "web-audio-samples") or path.stem.startswith("loop_"):
        return False
    return zlib.crc32(path.stem.encode()) % ONE_IN == 0


def base(root: Path, entry: str) -> Path | None:
    """Where an entry's files begin: its folder below `root`, or SYSTEM for a package; or None."""
    places = [root / entry, *([SYSTEM] if ENTRIES[entry].package else [])]
    for place in places:
        if any(next(place.glob(s.pattern), None) for s in ENTRIES[entry].shelves.values()):
            return place
    return None


@lru_cache(maxsize=256)
def files(root: Path, entry: str, shelf: str, held: bool = False) -> tuple:
    """The files of a shelf in the order of their names: those to train on, or those held out."""
    place = base(root, entry)
    if place is None:
        return ()
    found = sorted(place.glob(ENTRIES[entry].shelves[shelf].pattern))
    if shelf == "rooms":  # they make no sound of their own
        return tuple(found)
    return tuple(
        path for path in found
        if held_out(f"{entry}/{path.relative_to(place).as_posix()}") == held
    )  # fmt: skip


@lru_cache(maxsize=256)
def notes(root: Path, entry: str, shelf: str, held: bool = False) -> tuple:
    """The recorded notes of a shelf by pitch; files whose names tell no pitch are left out."""
    octaves = ENTRIES[entry].shelves[shelf].octaves
    out = []
    for path in files(root, entry, shelf, held):
        pitch = pitch_of(path.stem, octaves)
        if pitch is not None:
            force = FORCE.search(path.stem)
            out.append(Recorded(path, pitch, FORCES[force[1]] if force else 0.8))
    return tuple(sorted(out, key=lambda note: (note.pitch, note.force, note.path)))


class Stock(NamedTuple):
    """The recordings below a folder: those to train on, or those `held` out for testing."""

    root: Path
    held: bool = False

    def files(self, entry: str, shelf: str) -> tuple:
        """The files of a shelf."""
        return files(self.root, entry, shelf, self.held)

    def notes(self, entry: str, shelf: str) -> tuple:
        """The recorded notes of a shelf."""
        return notes(self.root, entry, shelf, self.held)


def missing(root: Path) -> dict:
    """The entries that are not below `root` (nor installed), each with where it comes from."""
    return {name: entry.source for name, entry in ENTRIES.items() if base(root, name) is None}


def check(root: Path, without: bool) -> str:
    """One line that says what is missing and from where, "" if nothing is.

    Raises UserError with that line unless `without`, and if the folder or all of it is missing.
    """
    if not root.is_dir():
        raise UserError(f"--material {root}: wanted a folder of recordings (README of the songs)")
    lacking = missing(root)
    if not lacking:
        return ""
    packages = [source for name, source in lacking.items() if ENTRIES[name].package]
    folders = [f"{name} from {source}" for name, source in lacking.items()
               if not ENTRIES[name].package]  # fmt: skip
    ways = [f"apt-get install {' '.join(packages)}"] if packages else []
    line = f"--material {root} lacks {', '.join(folders + ways)}"
    if not without:
        raise UserError(f"{line} (--without-missing makes songs of what is there)")
    return line
