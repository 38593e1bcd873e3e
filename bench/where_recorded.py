"""Recordings for `bench/where.py` that training never sees: notes, loops, and tracks with stems.

The material is a folder with one folder for each of FOLDERS, wherever in it the files lie. What is
held out is decided by name, by the rule of the songs' generator; of Caesium only the first half is
used, since scores are reported on the second.
"""

import hashlib
import re
from functools import lru_cache
from pathlib import Path

import numpy as np
from where_sounds import MINOR, RATE, gate, place, seconds

from xumx_jax import audio
from xumx_jax.errors import UserError

# Instrument: folder of the material, and what a file's path in it has to contain.
NOTES = {
    "guitar": ("emilyguitar", r"notes/"),
    "archtop": ("shinyguitar", r"acoustic/.*_vl"),
    "sax": ("weresax", r"alto/.*_cnd"),
    "bass": ("growlybass", r"sustain/"),
    "short bass": ("growlybass", r"staccato/"),
    "double bass": ("meatbass", r"pizz/.*_vl"),
}
LOOPS = {
    "sonic-pi": r"loop_(amen|breakbeat|compus|industrial|mehackit|perc|safari|tabla)",
    "web-audio-samples": r"loops/break|drum-samples/loops",
}
BAND = ("sectoid", "guitar", "song")  # folder, file of the guitar, file of all others
ALBUM, SONG = "everything-is-free", "caesium"
FOLDERS = sorted({folder for folder, _ in NOTES.values()} | {*LOOPS, BAND[0], ALBUM})
SUFFIXES = {".wav", ".flac", ".ogg", ".aif", ".aiff", ".m4a"}
PITCH = re.compile(r"([a-g])(b|#)?(-?\d+)_")
CLASSES = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
SILENT_DB = -45  # under a stem's loudest second: it does not sound


class NoMaterial(UserError):
    """A recording that is wanted is not there; the message names the folder."""


def held_out(name: str) -> bool:
    """Whether a file is kept from training, by its name: one in five."""
    return hashlib.sha256(name.encode()).digest()[0] % 5 == 0


class Material:
    """A folder of recordings; what is not there raises NoMaterial when it is asked for."""

    def __init__(self, root: Path | None):
        self.root = root

    def files(self, folder: str, pattern: str = "") -> list[Path]:
        """The audio files of a folder whose paths in it match, sorted. Raises NoMaterial."""
        place = self.root / folder if self.root else None
        found = _listed(place) if place and place.is_dir() else ()
        wanted = re.compile(pattern, re.I)
        chosen = [path for path in found if wanted.search(path.relative_to(place).as_posix())]
        if not chosen:
            what = f" with files like {pattern!r}" if found else ""
            raise NoMaterial(f"{place or '--material'}: wanted a folder {folder}{what}")
        return chosen

    def line(self, rng, length: float, instrument: str, low: bool = False) -> np.ndarray:
        """A line of held-out notes [time] along a minor scale, with bends and vibrato on long ones.

        `low`: within the lowest octave of the instrument.
        """
        notes = self._notes(instrument)
        pitches = np.array([pitch for pitch, _ in notes])
        floor, top = pitches.min(), pitches.max()
        top = min(top, floor + 12) if low else top
        scale = [p for p in range(floor, top + 1) if (p - floor) % 12 in MINOR]
        at, start = len(scale) // 2, 0.0
        out = np.zeros(round(length * RATE))
        while start < length:
            at = int(np.clip(at + rng.choice((-2, -1, -1, 1, 1, 2, 3)), 0, len(scale) - 1))
            near = np.flatnonzero(np.abs(pitches - scale[at]) == np.abs(pitches - scale[at]).min())
            pitch, path = notes[int(rng.choice(near))]
            held = float(rng.choice((0.25, 0.25, 0.5, 0.5, 1.0)))
            place(out, _played(rng, path, scale[at] - pitch, held), start)
            start += held
        return out

    def _notes(self, instrument: str) -> list[tuple[int, Path]]:
        folder, pattern = NOTES[instrument]
        named = [(PITCH.match(path.name), path) for path in self.files(folder, pattern)]
        found = [(name, path) for name, path in named if name and held_out(path.name)]
        if not found:
            raise NoMaterial(f"{self.root / folder}: no held-out notes like {pattern!r}")
        accidental = {"b": -1, "#": 1, None: 0}
        return [
            (12 * int(name[3]) + CLASSES[name[1]] + accidental[name[2]], path)
            for name, path in found
        ]

    def loop(self, rng, length: float) -> np.ndarray:
        """A held-out drum loop [channel, time], again and again. Raises NoMaterial."""
        found = []
        for folder, pattern in LOOPS.items():
            try:
                found += self.files(folder, pattern)
            except NoMaterial:
                continue
        found = [path for path in found if held_out(path.name)]
        if not found:
            raise NoMaterial(f"{self.root or '--material'}: no held-out drum loops")
        wave = _read(found[int(rng.integers(len(found)))])
        count = -(-round(length * RATE) // wave.shape[1])
        return np.tile(wave, count)[:, : round(length * RATE)]

    def band(self, rng, length: float) -> tuple[np.ndarray, np.ndarray]:
        """Of a held-out song: real lead guitar, and the band without it, both [channel, time]."""
        folder, lead, others = BAND
        pairs = [
            (path, other)
            for path in self.files(folder, rf"{lead}\.")
            for other in path.parent.iterdir()
            if other.stem == others and held_out(path.parent.name)
        ]
        if not pairs:
            raise NoMaterial(f"{self.root / folder}: no held-out song with {lead} and {others}")
        return self._excerpt(rng, length, *map(_read, pairs[int(rng.integers(len(pairs)))]))

    def sung(self, rng, length: float, parts: str) -> tuple[np.ndarray, np.ndarray]:
        """Of the held-out song: the voices of files like `parts`, and all that is not sung."""
        pattern = f"{SONG}[^/]*/"
        chosen = _sum(self.files(ALBUM, f"{pattern}.*({parts})"))
        others = [
            p for p in self.files(ALBUM, pattern) if not re.search("vox|vocal|master", str(p), re.I)
        ]
        rest = _sum(others)
        half = min(chosen.shape[1], rest.shape[1]) // 2
        return self._excerpt(rng, length, chosen[:, :half], rest[:, :half])

    @staticmethod
    def _excerpt(rng, length: float, part: np.ndarray, rest: np.ndarray):
        """A place where the part sounds throughout, or as nearly as there is."""
        size = round(length * RATE)
        blocks = part[:, : part.shape[1] // RATE * RATE].reshape(len(part), -1, RATE)
        power = np.square(blocks, dtype=float).mean((0, 2))
        sounds = power > power.max() * 10 ** (SILENT_DB / 10)
        count = np.convolve(sounds, np.ones(max(1, round(length))), "valid")
        starts = np.flatnonzero(count >= count.max() - 1)
        first = int(rng.choice(starts)) * RATE
        return part[:, first : first + size], rest[:, first : first + size]


@lru_cache(maxsize=16)
def _listed(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES))


@lru_cache(maxsize=64)
def _read(path: Path) -> np.ndarray:
    """A file as stereo [channel, time] at RATE."""
    wave, rate = audio.decode(path)
    wave = audio.resample(wave, rate, RATE)
    return np.repeat(wave, 2, 0) if len(wave) == 1 else wave[:2]


@lru_cache(maxsize=4)
def _summed(paths: tuple[Path, ...]) -> np.ndarray:
    waves = [_read.__wrapped__(path) for path in paths]
    out = np.zeros((2, max(wave.shape[1] for wave in waves)), np.float32)
    for wave in waves:
        out[:, : wave.shape[1]] += wave
    return out


def _sum(paths: list[Path]) -> np.ndarray:
    return _summed(tuple(paths))


def _played(rng, path: Path, semitones: float, held: float) -> np.ndarray:
    """A note [time] at another pitch: a bend into every third, vibrato on long ones."""
    wave = _read(path).mean(0)
    loud = np.flatnonzero(np.abs(wave) > 0.03 * np.abs(wave).max())
    wave = wave[loud[0] :] if len(loud) else wave
    at = seconds(held + 0.05)
    bend = np.full_like(at, semitones)
    if rng.random() < 1 / 3:
        bend -= float(rng.choice((1, 2))) * np.clip(1 - at / 0.12, 0, 1)
    if held >= 0.5:
        vibrato = 0.25 * np.sin(2 * np.pi * rng.uniform(4.5, 6) * at)
        bend += vibrato * np.clip(at / 0.3 - 0.5, 0, 1)
    where = np.cumsum(2 ** (bend / 12))
    note = np.interp(where, np.arange(len(wave)), wave, right=0.0)
    peak = np.sqrt(np.square(note[: RATE // 4]).mean())
    return note / max(peak, 1e-6) * gate(held + 0.05, 0.002, 0.05) * rng.uniform(0.6, 1.0)
