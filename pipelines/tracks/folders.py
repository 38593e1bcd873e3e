"""What folders contain: the subsets of a data set, the tracks of a subset, the stems of a track."""

from pathlib import Path

from pipelines.tracks.musdb_stems import SUFFIX
from pipelines.tracks.track import MIXTURE, Part, Track
from pipelines.tracks.wav import SUFFIXES
from xumx_jax.errors import UserError

SUBSETS = ("train", "valid", "test")
WANTED = f"<track>{SUFFIX}, or <track>/ with vocals.wav, drums.wav, bass.wav and other.wav in it"


def subfolders(folder: Path) -> list[str]:
    """The names of a folder's subfolders, sorted, without hidden ones; [] if it does not exist."""
    if not folder.is_dir():
        return []
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and p.name[0] != ".")


def audio_files(folder: Path) -> list[Path]:
    """The WAV and FLAC files in a folder, sorted, without hidden ones."""
    return sorted(p for p in folder.iterdir() if p.suffix in SUFFIXES and p.name[0] != ".")


def find_stem(folder: Path, source: str) -> Path | None:
    """The file of a source in a track's folder, None if there is none."""
    paths = (folder / f"{source}{suffix}" for suffix in SUFFIXES)
    return next((path for path in paths if path.is_file()), None)


def track_of(folder: Path, name: str = "") -> Track:
    """The track in a folder with one file per stem, and perhaps a mixture."""
    files = audio_files(folder)
    found = {path.stem: find_stem(folder, path.stem) for path in files}
    clips = {stem: (Part(path),) for stem, path in found.items() if path}
    mixture = clips.pop(MIXTURE, None)
    return Track(name or folder.name, folder, clips, mixture, tuple(files))


def tracks_in(folder: Path) -> tuple[Track, ...]:
    """The tracks in a folder, one subfolder each."""
    return tuple(track_of(folder / name) for name in subfolders(folder))


def split_for_training(root: Path, split: str) -> Path | None:
    """ROOT/train; for validation ROOT/valid, or else ROOT/test. None if there is no such folder.

    Without a train folder, ROOT itself is the training set, and there is no validation.
    """
    flat = not (root / "train").is_dir()
    if split == "train":
        return root if flat else root / "train"
    if split == "test":
        return root / "test" if (root / "test").is_dir() else None
    folders = () if flat else (root / "valid", root / "test")
    return next((folder for folder in folders if folder.is_dir()), None)


def split_for_evaluation(root: Path, subset: str) -> Path:
    """ROOT/<subset>, or the root itself if it contains tracks. Raises UserError if neither."""
    if not root.is_dir():
        raise UserError(
            f"{root}: no such folder; wanted the root of MUSDB18 or of folders of stems"
        )
    if (root / subset).is_dir():
        return root / subset
    subsets = [name for name in subfolders(root) if _has_tracks(root / name)]
    if subsets:
        raise UserError(f"unknown subset {subset!r}; {root} has {', '.join(subsets)}")
    if not _has_tracks(root):
        raise UserError(f"{root / subset}: no such folder; wanted {WANTED}")
    if root.name in SUBSETS and root.name != subset:
        raise UserError(
            f"{root}: holds tracks, but is not called {subset!r}; "
            f"use --subset {root.name}, or its parent as --root"
        )
    return root


def _has_tracks(folder: Path) -> bool:
    return any(folder.glob(f"*{SUFFIX}")) or any(
        audio_files(folder / name) for name in subfolders(folder)
    )
