"""Excerpts of real performances: an album's stems, a guitar's track, drum loops."""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import material, recordings
from .material import Stock
from .score import BEATS, pick


class Performance(NamedTuple):
    """A recorded song: tempo, key (pitch class), mode, and the stems of each source."""

    tempo: float
    key: int
    mode: str
    stems: dict
    part: float = 1.0  # how much of it, from its start, songs may be made of


class Take(NamedTuple):
    """An excerpt as it is used: files from `start` on, at a speed, beginning `at` seconds."""

    source: str
    paths: tuple
    start: float
    speed: float
    at: float
    gain_db: float
    effects: tuple = ()
    until: float = float("inf")  # seconds in the files


# Stems by their names without the song's. Left out are those that are two sources: "PAD + BASS" and
# "MICROCOSM_EFFECT" of Potassium, whose synthesiser is the bass, and "MINILOGUE_SYNTH" of Caesium.
SONGS = {
    "hydrogen": Performance(132.0, 2, "major", {
        "vocals": ("VOX LEAD", "BGVOX AAHH", "BGVOX ECHO", "BGVOX HARMONY"),
        "drums": ("MAIN DRUMS", "HH", "DRUMS BREAK 1", "DRUMS BREAK 2"),
        "other": ("BEEPS", "MICROCOSM EFFECT", "MINILOGUE SYNTH", "SWEEPS"),
    }),
    "potassium": Performance(90.0, 0, "major", {
        "vocals": ("VOX LEAD", "BGVOX ALT", "BGVOX ECHO"),
        "drums": ("BREAKBEAT", "BUILD", "END DRUMS", "HAT FILL", "HATS", "KICK HATS", "KICK",
                  "OUTRO DRUM", "SNARE", "TRAP BEAT"),
        "bass": ("MINILOGUE_SYNTH",),
        "other": ("KEYS", "MALLET", "SWEEP"),
    }),
    # The whole song is held out; its second half is for reports alone.
    "caesium": Performance(130.0, 0, "major", {
        "vocals": ("VOX LEAD", "BGVOX ALT", "BGVOX ECHO", "BGVOX HARMONY", "BGVOX HIGH",
                   "BGVOX MAIN"),
        "drums": ("ALT HATS", "BREAK", "BUILD", "FILL SCRATCH", "GARAGE BEAT", "HATS", "KICK",
                  "SCRATCH HATS"),
        "other": ("MICROCOSM_EFFECT",),
    }, 0.5),
}  # fmt: skip
# Tempi are those of the songs' charts; keys were found by their pitch classes.
GUITARS = {
    "Escape from chaosland": Performance(135.0, 0, "minor", {}),
    "Feelings": Performance(95.0, 2, "major", {}),
    "Metal madness": Performance(150.0, 7, "minor", {}),
    "War of freedom": Performance(140.0, 6, "minor", {}),
}
LEAD = "VOX LEAD"


def stems(stock: Stock, song: str, source: str) -> tuple:
    """The files of a source of a song of the album that may be trained on."""
    names = SONGS[song].stems.get(source, ())
    return tuple(path for path in stock.files(material.ALBUM, "stems")
                 if path.parent.name == song and path.stem in names)  # fmt: skip


def voices(stock: Stock, song: str) -> tuple:
    """The files of the voices of a song of the album."""
    return stems(stock, song, "vocals")


def guitar(stock: Stock, song: str) -> tuple:
    """The guitar's track of a song, as a tuple of one file, or of none."""
    return tuple(path for path in stock.files("sectoid", "guitar")
                 if path.parent.name == song)  # fmt: skip


@lru_cache(maxsize=64)
def loudness(path: Path) -> np.ndarray:
    """[second]: the stock mean square of each second of a file."""
    wave, rate = recordings.read(path)
    count = wave.shape[-1] // rate
    return np.sqrt((wave[:, : count * rate].reshape(len(wave), count, rate) ** 2).mean((0, 2)))


def sounding(paths: tuple) -> np.ndarray:
    """[second]: whether any of the files is within 30 dB of its own loudest second."""
    levels = [loudness(path) for path in paths]
    length = min(len(level) for level in levels)
    return np.any([level[:length] > 0.03 * level.max() for level in levels], axis=0)


def heard(paths: tuple, part: float) -> bool:
    """Whether the files sound for 8 s at least within the first `part` of them."""
    if not paths:
        return False
    active = sounding(paths)
    return bool(active[: round(part * len(active))].sum() >= 8)


def begin(rng, paths: tuple, tempo: float, seconds: float, part: float = 1.0) -> float:
    """A start in seconds, on a bar, from which the files sound for more than half of `seconds`.

    Where there is none such, the one from which they sound longest. It all lies within the first
    `part` of the files, if that is long enough.
    """
    active = sounding(paths).astype(float)
    active = active[: round(part * len(active))]
    bar = BEATS * 60 / tempo
    latest = max(0.0, len(active) - seconds)
    starts = np.arange(0, latest + 1e-6, bar)
    share = np.array([active[int(s) : int(s + seconds) + 1].mean() for s in starts])
    good = starts[share >= min(0.5, share.max())]
    return float(good[int(rng.integers(len(good)))])


def choose(rng, stock: Stock, table: dict, find) -> tuple | None:
    """(name, performance, semitones of transposition) of a song whose files are there, or None."""
    there = [name for name in table if find(stock, name)]
    if not there:
        return None
    name = pick(rng, there)
    shift = int(rng.integers(-5, 4))  # down more than up: another kind of voice
    return name, table[name], shift


def wish(performance: Performance, shift: int) -> dict:
    """What a generated song must be like to go with a performance that is transposed so."""
    return {
        "tempo": performance.tempo * 2 ** (shift / 12),
        "key": (performance.key + shift) % 12,
        "mode": performance.mode,
    }


def play(take: Take, samples: int, rate: int) -> np.ndarray:
    """The sum of a take's files at its speed and place -> [2, time]; effects are the caller's."""
    out = np.zeros((2, samples), np.float32)
    begin = max(0, round(take.at * rate))
    seconds = min((samples - begin) / rate * take.speed, take.until - take.start)
    for path in take.paths:
        wave, source = recordings.read(path, take.start, seconds)
        recordings.add(out, recordings.stereo(wave, source * take.speed, rate), begin)
    fade = min(samples - begin, rate // 100)
    out[:, begin : begin + fade] *= np.linspace(0, 1, fade, dtype=np.float32)
    return out


def loop(path: Path, beats: int, plan, samples: int, rate: int, order: list) -> np.ndarray:
    """A drum loop tiled over the sections in which drums play -> [2, time].

    It is resampled to the plan's tempo. `order` says which of its beats follow each other, so that
    a bar need not be the loop as it was recorded.
    """
    wave, source = recordings.read(path)
    beat = 60 / plan.clock.tempo
    speed = wave.shape[-1] / source / (beats * beat)
    wave = recordings.stereo(wave, source * speed, rate)
    out = np.zeros((2, samples), np.float32)
    size = wave.shape[-1] / beats
    fade = np.linspace(1, 0, 64, dtype=np.float32)
    for section in plan.sections:
        if "drums" not in section.active:
            continue
        for index in range(section.bars * BEATS):
            taken = order[index % len(order)]
            piece = wave[:, round(taken * size) : round((taken + 1) * size)].copy()
            piece[:, -64:] *= fade
            place = plan.clock.offset_seconds + (section.bar * BEATS + index) * beat
            recordings.add(out, piece, round(place * rate))
    return out
