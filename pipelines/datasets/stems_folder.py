"""Folders of stems: ROOT/{train,valid|test}/<track>/<source>.wav or .flac."""

from collections import Counter
from pathlib import Path

from pipelines.tracks import opening as index
from pipelines.tracks.random_access import Set
from pipelines.tracks.wav import SUFFIXES
from xumx_jax.errors import UserError

MIXTURE = "mixture"


def open_folder(
    root, targets, rate: int, channels: int, *, sources=(), max_skipped: float = 0.1
) -> tuple[Set, Set | None]:
    """Open ROOT/train and ROOT/valid (or test); without train/, ROOT itself, and no validation.

    `sources` (names, or one string with commas) are the files that make up the mixture; by default
    all that more than half of the training tracks have. A `mixture` file that every track has is
    used for validation and statistics.
    """
    root = index.folder(root)
    train, valid = index.splits(root)
    names, valid_names = index.subfolders(train), valid and index.subfolders(valid)
    common = {"sources": sources, "max_skipped": max_skipped}
    opened = open_tracks(train, names, targets, rate, channels, **common)
    if not valid_names:
        return opened, None
    common["sources"] = opened.sources
    return opened, open_tracks(valid, valid_names, targets, rate, channels, **common)


def open_tracks(
    root: Path, names, targets, rate: int, channels: int, *, sources=(), max_skipped: float = 0.1
) -> Set:
    """Open the folders of these names in one folder."""
    wanted = " or ".join(", ".join(f"{t}{suffix}" for t in targets) for suffix in SUFFIXES)
    hint = f"folders with {wanted} in them"
    if not names:
        raise UserError(f"{root}: no tracks; wanted {hint}")
    known = index.listed(sources) or common_sources(root, names, targets)
    ordered, mixing = index.arrange(root, targets, known)

    def describe(name: str) -> index.Track:
        stems = tuple(((stem_file(root / name, source), 1),) for source in ordered)
        mixture = find_stem(root / name, MIXTURE)
        return index.Track(stems, mixture and ((mixture, 1),))

    return index.open_set(root, names, describe, ordered, mixing, rate, channels, max_skipped, hint)


def common_sources(root: Path, names, targets) -> list[str]:
    """Names of the audio files that more than half of the tracks have, and targets that any has."""
    found = Counter(
        stem for name in names for stem in {path.stem for path in audio_files(root / name)}
    )
    found.pop(MIXTURE, None)
    return sorted(
        stem for stem, count in found.items() if 2 * count > len(names) or stem in targets
    )


def audio_files(folder: Path) -> list[Path]:
    """The WAV and FLAC files in a folder, hidden ones left out, sorted."""
    return sorted(p for p in folder.iterdir() if p.suffix in SUFFIXES and p.name[0] != ".")


def find_stem(track: Path, source: str) -> Path | None:
    """The file of a source in a track's folder, None if there is none."""
    paths = (track / f"{source}{suffix}" for suffix in SUFFIXES)
    return next((path for path in paths if path.is_file()), None)


def stem_file(track: Path, source: str) -> Path:
    """The file of a source in a track's folder. Raises UserError if there is none."""
    path = find_stem(track, source)
    if path is None:
        raise UserError(f"{track / source}.wav: no such file (nor .flac)")
    return path
