"""Recordings for `bench/where.py` that training never sees: notes, strokes, loops, real tracks.

`pipelines.songs.material` says what lies where and what is held out. Of the held-out song, only the
first half is used: scores are reported on the second.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from where_sounds import GROOVES, MINOR, RATE, STEP_SECONDS, gate, place, seconds
from whole_songs import source_of

from pipelines.songs import material
from xumx_jax import audio
from xumx_jax.errors import UserError

# Instrument: entry and shelf of the material.
NOTES = {
    "guitar": ("emilyguitar", "notes"),
    "archtop": ("shinyguitar", "acoustic"),
    "sax": ("weresax", "condenser"),
    "bass": ("growlybass", "notes"),
    "short bass": ("growlybass", "staccato"),
    "double bass": ("meatbass", "pizz"),
}
LOOPS, KITS, BAND = ("sonic-pi", "loops"), ("web-audio-samples", "kits"), ("sectoid", "guitar")
OTHERS = "song"  # what the band's file without its guitar is called
SONG = (material.ALBUM, "stems")
UNSUNG = re.compile(r"master|mix", re.I)
FARTHEST = 4  # semitones that a note is moved
SILENT_DB = -45  # under a stem's loudest second: it does not sound


class NoMaterial(UserError):
    """A recording that is wanted is not there; the message names its entry and source."""


class Material:
    """A folder of recordings; what is not there raises NoMaterial when it is asked for."""

    def __init__(self, root: Path | None):
        self.root = root

    def files(self, entry: str, shelf: str) -> tuple[Path, ...]:
        """The held-out files of a shelf, sorted. Raises NoMaterial if there are none."""
        found = material.files(self.root, entry, shelf, held=True) if self.root else ()
        if not found:
            where = f"--material {self.root}: " if self.root else "no --material: "
            raise NoMaterial(f"{where}wanted {entry}, from {material.ENTRIES[entry].source}")
        return found

    def line(
        self, rng, length: float, instrument: str, between: tuple[int, int] = (0, 127)
    ) -> np.ndarray:
        """A line of held-out notes [time] along a minor scale, with bends and vibrato on long ones.

        `between` are the lowest and highest MIDI pitch, as far as there are notes.
        """
        entry, shelf = NOTES[instrument]
        self.files(entry, shelf)
        notes = material.notes(self.root, entry, shelf, held=True)
        pitches = np.array([note.pitch for note in notes])
        if not len(pitches):
            raise NoMaterial(f"--material {self.root}: {entry} has no held-out notes")
        floor = max(int(pitches.min()) - FARTHEST, between[0])
        top = min(int(pitches.max()) + FARTHEST, between[1])
        scale = [
            pitch
            for pitch in range(floor, top + 1)
            if (pitch - floor) % 12 in MINOR and np.abs(pitches - pitch).min() <= FARTHEST
        ]
        at, start = len(scale) // 2, 0.0
        out = np.zeros(round(length * RATE))
        while start < length:
            at = int(np.clip(at + rng.choice((-2, -1, -1, 1, 1, 2, 3)), 0, len(scale) - 1))
            apart = np.abs(pitches - scale[at])
            note = notes[int(rng.choice(np.flatnonzero(apart == apart.min())))]
            held = float(rng.choice((0.25, 0.25, 0.5, 0.5, 1.0, 2.0)))
            place(out, _played(rng, note.path, scale[at] - note.pitch, held), start)
            start += held
        return out

    def loop(self, rng, length: float) -> np.ndarray:
        """A held-out drum loop [channel, time], again and again."""
        found = self.files(*LOOPS)
        wave = _read(found[int(rng.integers(len(found)))])
        count = -(-round(length * RATE) // wave.shape[1])
        return np.tile(wave, count)[:, : round(length * RATE)]

    def kit(self, rng, length: float, groove: str = "rock") -> np.ndarray:
        """A held-out kit [channel, time], playing a groove."""
        kits = sorted({path.parent for path in self.files(*KITS)})
        kit = kits[int(rng.integers(len(kits)))]
        strokes = {path.stem.lower(): path for path in self.files(*KITS) if path.parent == kit}
        out = np.zeros((2, round(length * RATE)))
        for row, name in zip(GROOVES[groove], ("kick", "snare", "hihat"), strict=True):
            if name not in strokes:
                raise NoMaterial(f"{kit}: wanted kick, snare and hihat")
            for index in range(int(length / STEP_SECONDS)):
                level = (int(row[index % len(row)]) / 9) ** 1.5
                if level:
                    place(out, level * _read(strokes[name]), index * STEP_SECONDS)
        return out

    def band(self, rng, length: float) -> tuple[np.ndarray, np.ndarray]:
        """Of a held-out song: real lead guitar, and the band without it, both [channel, time]."""
        found = self.files(*BAND)
        lead = found[int(rng.integers(len(found)))]
        others = [path for path in lead.parent.iterdir() if path.stem == OTHERS]
        if not others:
            raise NoMaterial(f"{lead.parent}: wanted {OTHERS}.ogg, the band without its guitar")
        return _excerpt(rng, length, _read(lead), _read(others[0]))

    def sung(self, rng, length: float, parts: str) -> tuple[np.ndarray, np.ndarray]:
        """Of the held-out song: voices whose files' names match, and all that is not sung."""
        stems = [path for path in self.files(*SONG) if not UNSUNG.search(path.stem)]
        chosen = [path for path in stems if re.search(parts, path.stem, re.I)]
        if not chosen:
            raise NoMaterial(f"{stems[0].parent}: wanted stems with names like {parts!r}")
        voices = _sum(chosen)
        rest = _sum([path for path in stems if source_of(path.stem) != "vocals"])
        half = min(voices.shape[1], rest.shape[1]) // 2
        if not voices[:, :half].any():
            raise NoMaterial(f"{stems[0].parent}: {parts!r} does not sound in the first half")
        return _excerpt(rng, length, voices[:, :half], rest[:, :half])


def _excerpt(rng, length: float, part: np.ndarray, rest: np.ndarray):
    """A place where the part sounds throughout, or as nearly as there is."""
    size = round(length * RATE)
    blocks = part[:, : part.shape[1] // RATE * RATE].reshape(len(part), -1, RATE)
    power = np.square(blocks, dtype=float).mean((0, 2))
    sounds = power > power.max() * 10 ** (SILENT_DB / 10)
    count = np.convolve(sounds, np.ones(max(1, round(length))), "valid")
    first = int(rng.choice(np.flatnonzero(count >= count.max() - 1))) * RATE
    return part[:, first : first + size], rest[:, first : first + size]


@lru_cache(maxsize=64)
def _read(path: Path) -> np.ndarray:
    """A file as stereo [channel, time] at RATE."""
    wave, rate = audio.decode(path)
    wave = audio.resample(wave, rate, RATE)
    return np.repeat(wave, 2, 0) if len(wave) == 1 else wave[:2]


@lru_cache(maxsize=4)
def _summed(paths: tuple[Path, ...]) -> np.ndarray:
    out = np.zeros((2, 0), np.float32)
    for path in paths:
        wave = _read.__wrapped__(path)
        longer = max(out.shape[1], wave.shape[1])
        out = np.pad(out, [(0, 0), (0, longer - out.shape[1])])
        out[:, : wave.shape[1]] += wave
    return out


def _sum(paths: Sequence[Path]) -> np.ndarray:
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
    level = np.sqrt(np.square(note[: RATE // 4]).mean())
    return note / max(level, 1e-6) * gate(held + 0.05, 0.002, 0.05) * rng.uniform(0.6, 1.0)
