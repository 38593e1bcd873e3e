"""From files to one mixture: its stems, its mix, and a table of the clips in it."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import soundfile

from pipelines.films import events
from pipelines.films.events import CLASSES, Place
from pipelines.loudness import integrated
from pipelines.tracks import wav
from pipelines.tracks.converted import converted
from xumx_jax import audio, files
from xumx_jax.errors import UserError

TABLE = "annots.csv"  # as in Divide and Remaster
COLUMNS = (
    "file", "class", "mix start time", "mix end time", "clip start time", "clip end time",
    "fade out time", "clip gain",
)  # fmt: skip
TRIES = 25  # files one after another that may be unusable
BITS = 16


@dataclass(frozen=True)
class Folder:
    """The files of a class that a split may use, by their names in its folder."""

    path: Path
    names: tuple[str, ...]


@dataclass(frozen=True)
class Recipe:
    """What mixtures of a run have in common."""

    seed: int
    samples: int
    rate: int
    folders: Mapping[str, Mapping[str, Folder]]  # of a split and a class


@dataclass
class Mixture:
    """One mixture: stems [class, time] and a row of the table for each clip in it.

    `faults` are {file: why it was left out}.
    """

    stems: np.ndarray
    rows: list[tuple] = field(default_factory=list)
    faults: dict[Path, str] = field(default_factory=dict)


def compose(recipe: Recipe, split: int, name: str, number: int) -> Mixture:
    """Compose mixture `number` of a split, which depends on nothing else.

    Raises UserError if a folder seems to have no usable file.
    """
    made = Mixture(np.zeros((len(CLASSES), recipe.samples), np.float32))
    for stem, kind in zip(made.stems, CLASSES, strict=True):
        random = events.stream(recipe.seed, split, number, kind)
        _fill(recipe, recipe.folders[name][kind], kind, random, stem, made)
    uniform = events.stream(recipe.seed, split, number, "master").random()
    mix = made.stems.sum(0)
    wanted = events.around(events.MASTER_LUFS, events.CLASS_RANGE, uniform)
    gain = 10 ** ((wanted - integrated(mix[None], recipe.rate)) / 20)
    highest = max(float(np.abs(wave).max()) for wave in (mix, made.stems))
    gain = min(gain, 10 ** (events.PEAK_DB / 20) / highest)
    made.stems *= np.float32(gain)
    made.rows = [(*row[:-1], row[-1] * gain) for row in made.rows]
    return made


def _fill(recipe: Recipe, folder: Folder, kind: str, random, stem: np.ndarray, made: Mixture):
    """Lay clips of one class into its stem [time], one after another."""
    level = events.around(events.LUFS[kind], events.CLASS_RANGE, random.random())
    end = 0
    for _ in range(events.count_of(kind, random.random())):
        for _ in range(TRIES):
            # whatever becomes of this file: the numbers after it stay the same
            choice, offset, louder = random.random(3)
            normal = random.standard_normal(3)
            name = folder.names[int(choice * len(folder.names))]
            try:
                file = converted(wav.probe(folder.path / name), recipe.rate, 1)
                where = events.place(
                    kind, file.samples, end, recipe.samples, recipe.rate, normal, offset
                )
                if where is None:
                    break
                clip, loudness = _read(file, where)
            except UserError as error:
                made.faults[folder.path / name] = str(error)
                continue
            if loudness > -np.inf:
                wanted = events.around(level, events.CLIP_RANGE, louder)
                gain = 10 ** ((wanted - loudness) / 20)
                stem[where.start : where.end] = clip * np.float32(gain)
                made.rows.append((name, kind, where, gain))
                end = where.end
                break
        else:
            why = f"; {list(made.faults.values())[-1]}" if made.faults else ""
            raise UserError(
                f"{folder.path}: {TRIES} files one after another are silent or unusable{why}"
            )


def _read(file, where: Place) -> tuple[np.ndarray, float]:
    """The clip [time], and its loudness in LUFS; -inf for a silent part of a file that is not.

    Raises UserError if it cannot be read, or is silent throughout.
    """
    frames = np.empty((where.samples, 1), np.float32)
    file.read_into(where.offset, frames)
    clip = frames[:, 0]
    if not np.isfinite(clip).all():
        raise UserError(f"{file.path}: has samples that are NaN or infinite")
    if where.fade:
        clip[-where.fade :] *= np.linspace(1, 0, where.fade, dtype=np.float32)
    loudness = integrated(clip[None], file.rate)
    if loudness == -np.inf and _is_silent(file):
        raise UserError(f"{file.path}: its loudness is -inf LUFS: silence")
    return clip, loudness


@cache
def _is_silent(file) -> bool:
    frames = np.empty((file.samples, 1), np.float32)
    file.read_into(0, frames)
    return integrated(frames.T, file.rate) == -np.inf


def write(made: Mixture, rate: int, place: Path) -> None:
    """Write PLACE/{mix,music,sfx,speech}.wav and the table, all of it or nothing. Raises OSError.

    The mix is the sum of the stems to the last bit.
    """
    stems = [audio.quantise(stem, BITS) for stem in made.stems]
    waves = dict(zip(CLASSES, stems, strict=True)) | {
        "mix": sum(stem.astype(int) for stem in stems)
    }
    with files.replacing_folder(place) as folder:
        for name, wave in waves.items():
            path = folder / f"{name}.wav"
            soundfile.write(path, wave.astype(np.int16), rate, subtype=f"PCM_{BITS}")
        (folder / TABLE).write_text(table(made.rows, rate), "utf-8")


def table(rows: Sequence[tuple], rate: int) -> str:
    """The clips of a mixture as CSV, in the order of their starts; times are in seconds.

    Names are those of files in the folders of their classes.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for name, kind, where, gain in sorted(rows, key=lambda row: (row[2].start, row[1])):
        until = where.offset + where.samples
        times = (where.start, where.end, where.offset, until, where.fade)
        seconds = [f"{samples / rate:.6f}" for samples in times]
        writer.writerow((name, kind, *seconds, f"{gain:.9g}"))
    return text.getvalue()
