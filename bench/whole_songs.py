"""Songs as folders of stems under any names -> data sets for `evaluate.py`, whole or in halves."""

import re
from pathlib import Path

import numpy as np
import soundfile

from pipelines.tracks import folders, names
from xumx_jax import audio, files
from xumx_jax.errors import UserError

# The first that fits a file's name says its source; what fits none is "other".
GROUPS = {
    "vocals": r"vox|vocal|voice|choir|sing(er|ing)",
    "drums": r"drum|\bh(at|ats|h)\b|kick|snare|beat|break|\bperc|\bprc|clap|\btoms?\b|crash|cymbal"
    r"|\bride\b|build|scratch",
    "bass": r"bass|\bsub\b",
}
HALVES = ("first half", "second half")


def source_of(name: str) -> str:
    """The source of a file of stems by its name: "6.Song_Stem_ALT HATS" is drums."""
    words = re.sub(r"[^a-z0-9]+", " ", name.lower())
    return next(
        (source for source, pattern in GROUPS.items() if re.search(pattern, words)), "other"
    )


def grouped(folder: Path) -> tuple[dict[str, np.ndarray], int]:
    """Add up a folder's stems -> ({source: [channel, time]}, rate), without silent sources.

    Files of the whole mixture are left out. Raises UserError without at least two sources.
    """
    paths = folders.audio_files(folder)
    aside = set(names.sums([path.stem for path in paths], folder.name))
    found: dict[str, list[np.ndarray]] = {}
    rate = 0
    for path in paths:
        if path.stem in aside or re.search(r"master", path.stem, re.I):
            continue
        wave, own = audio.decode(path)
        rate = rate or own
        wave = audio.resample(wave, own, rate)
        found.setdefault(source_of(path.stem), []).append(
            np.broadcast_to(wave[:2], (2, wave.shape[1]))
        )
    length = max((wave.shape[1] for waves in found.values() for wave in waves), default=0)
    sums = {source: np.zeros((2, length), np.float32) for source in found}
    for source, waves in found.items():
        for wave in waves:
            sums[source][:, : wave.shape[1]] += wave
    sums = {source: wave for source, wave in sums.items() if wave.any()}
    if len(sums) < 2:
        raise UserError(f"{folder}: wanted the stems of a song, of at least two sources that sound")
    return sums, rate


def write(folder: Path, place: Path, part: str = "") -> tuple[Path, tuple[str, ...]]:
    """Write a song, or one of its HALVES, as PLACE/test/<name>/<source>.wav -> (PLACE, sources).

    In floating point, since sums of stems may exceed full scale; what is there is kept.
    """
    title = f"{folder.resolve().name}{', ' * bool(part)}{part}"
    target = place / "test" / title
    if not target.is_dir():
        waves, rate = grouped(folder)
        length = next(iter(waves.values())).shape[1]
        middle = length // 2 // rate * rate  # whole frames of a second
        cut = {"": slice(None), HALVES[0]: slice(middle), HALVES[1]: slice(middle, None)}[part]
        with files.replacing_folder(target) as partial:
            for source, wave in waves.items():
                if wave[:, cut].any():
                    path = partial / f"{source}.wav"
                    soundfile.write(path, wave[:, cut].T, rate, subtype="FLOAT")
    return place, tuple(s for s in names.ORDER if (target / f"{s}.wav").is_file())
