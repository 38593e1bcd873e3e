"""What folders contain: the subsets of a data set, the tracks of a subset, the stems of a track."""

from pathlib import Path

from pipelines.tracks import names
from pipelines.tracks.musdb_stems import SUFFIX
from pipelines.tracks.names import MIXTURE
from pipelines.tracks.track import Part, Track, is_packed
from pipelines.tracks.wav import SUFFIXES
from xumx_jax.errors import UserError
from xumx_jax.files import hidden

SUBSETS = ("train", "valid", "test")
WANTED = f"<track>{SUFFIX}, or <track>/ with vocals.wav, drums.wav, bass.wav and other.wav in it"
SHOWN = 4  # names in one message
# Formats that are decoded before they are read at many places.
CODED = (".aif", ".aiff", ".aifc", ".w64", ".caf", ".au", ".wv", ".ape", ".tta", ".mp3", ".ogg")
CODED += (".oga", ".opus", ".m4a", ".aac", ".wma", ".mp2", ".mka")


def entries(folder: Path) -> list[Path]:
    """What is in a folder, sorted, without hidden files; [] if it is no folder.

    Raises UserError if it cannot be listed.
    """
    try:
        return sorted(p for p in folder.iterdir() if not hidden(p.name)) if folder.is_dir() else []
    except OSError as error:
        raise UserError(f"{folder}: cannot be listed ({error.strerror})") from error


def packed_in(folder: Path) -> list[Path]:
    """The .stem.mp4 files in a folder, sorted, without hidden ones."""
    found = [path for path in entries(folder) if is_packed(path)]
    untitled = folder / SUFFIX  # no hidden file, but a title without a letter
    return [untitled, *found] if untitled.is_file() else found


def subfolders(folder: Path) -> list[str]:
    """The names of a folder's subfolders, sorted, without hidden ones; [] if it does not exist."""
    return [path.name for path in entries(folder) if path.is_dir()]


def audio_files(folder: Path) -> list[Path]:
    """The audio files in a folder, sorted, without hidden ones; links to nothing are among them."""
    known = (*SUFFIXES, *CODED)
    found = (path for path in entries(folder) if path.suffix.lower() in known)
    return [path for path in found if not path.is_dir()]


def audio_below(folder: Path, suffixes=SUFFIXES) -> list[Path]:
    """The files with these suffixes in a folder at any depth, sorted, without hidden ones.

    Links to folders are followed, each folder once. Raises UserError if one cannot be listed.
    """
    seen, waiting, found = set(), [folder], []
    while waiting:
        here = waiting.pop()
        if (true := here.resolve()) in seen:  # a link back to a folder above
            continue
        seen.add(true)
        for path in entries(here):
            if path.is_dir():
                waiting.append(path)
            elif path.suffix.lower() in suffixes:
                found.append(path)
    return sorted(found)


def named_below(folder: Path) -> dict[str, Path]:
    """`audio_below` by their names relative to the folder. Raises UserError if there are none."""
    found = {path.relative_to(folder).as_posix(): path for path in audio_below(folder)}
    if not found:
        suffixes = " or *".join(SUFFIXES)
        raise UserError(f"{folder}: no *{suffixes} at any depth; {described(folder)}")
    return found


def described(folder: Path) -> str:
    """What is in a folder, for messages: "found a, b, c and 4 more", or that it is missing."""
    if not folder.is_dir():
        return f"found no folder {folder}"
    names = [path.name for path in entries(folder)]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"found {', '.join(names[:SHOWN]) or 'nothing'}{more}"


def has_audio(folder: Path) -> bool:
    """Return whether there is an audio file in a folder: others hold no track."""
    return bool(audio_files(folder))


def is_coded(path: Path) -> bool:
    """Return whether a file has to be decoded before it is read at many places."""
    return path.suffix.lower() in CODED


def find_stem(folder: Path, source: str) -> Path | None:
    """The file of a source in a track's folder, None if there is none."""
    exact = (folder / f"{source}{suffix}" for suffix in SUFFIXES)
    for path in exact:
        if path.is_file():
            return path
    found = [path for path in audio_files(folder) if source in (path.stem, names.source_of(path))]
    return min(found, key=lambda path: _preference(path, source), default=None)


def _preference(path: Path, source: str):
    """Of several files of one source, the one in its own spelling and in the first format."""
    return path.stem != source, (*SUFFIXES, *CODED).index(path.suffix.lower()), path.name


def track_of(folder: Path, name: str = "") -> Track:
    """The track in a folder with one file per stem, and perhaps a mixture."""
    files = audio_files(folder)
    found: dict[str, list[Path]] = {}
    for path in files:
        found.setdefault(names.source_of(path), []).append(path)
    clips = {
        source: (Part(min(paths, key=lambda path: _preference(path, source))),)
        for source, paths in found.items()
    }
    mixture = clips.pop(MIXTURE, None)
    aside = names.sums(clips, folder.name)
    whole = names.whole(clips, folder.name)
    if mixture is None and whole and len(clips) - len(aside) == 1:
        mixture = clips[whole[0]]  # a single stem cannot be what it was taken from
    return Track(name or folder.name, folder, clips, mixture, tuple(files), aside=aside)


def file_in(folder: Path, name: str) -> Path:
    """The file of this name, in whatever case if there is none that is spelled the same."""
    if not (folder / name).is_file():
        for path in audio_files(folder):
            if path.name.lower() == name.lower():
                return path
    return folder / name


def track_folders(folder: Path) -> list[Path]:
    """The subfolders with audio files in them, and links that lead nowhere."""
    return [
        path
        for path in entries(folder)
        if (path.is_dir() and has_audio(path)) or lost(path) is not None
    ]


def tracks_in(folder: Path) -> tuple[Track, ...]:
    """The tracks in a folder, one subfolder each."""
    return tuple(lost(path) or track_of(path) for path in track_folders(folder))


def lost(path: Path) -> Track | None:
    """A track that cannot be used, if a path is a link to nothing."""
    if path.exists() or not path.is_symlink():
        return None
    return Track(
        path.name, path, {}, fault=f"{path}: a link to {path.readlink()}, which is missing"
    )


def split_for_training(root: Path, split: str) -> Path | None:
    """ROOT/train; for validation ROOT/valid, or else ROOT/test. None if there is no such folder.

    Without a train folder, ROOT itself is the training set. Raises UserError if it then has other
    subsets alone.
    """
    flat = not (root / "train").is_dir()
    if split == "train":
        subsets = [name for name in SUBSETS if flat and has_tracks(root / name)]
        if subsets and not has_tracks(root):
            raise UserError(f"{root}: has {', '.join(subsets)}, but no train; wanted {root}/train")
        return root if flat else root / "train"
    if split == "test":
        return root / "test" if (root / "test").is_dir() else None
    for folder in (root / "valid", root / "test"):
        if folder.is_dir() and (not flat or has_tracks(folder)):
            return folder
    return None


def split_for_evaluation(root: Path, subset: str) -> Path:
    """ROOT/<subset>, or the root itself if it contains tracks. Raises UserError if neither."""
    if not root.is_dir():
        raise UserError(
            f"{root}: no such folder; wanted the root of MUSDB18 or of folders of stems"
        )
    if (root / subset).is_dir():
        return root / subset
    subsets = [name for name in subfolders(root) if has_tracks(root / name)]
    if subsets:
        raise UserError(f"unknown subset {subset!r}; {root} has {', '.join(subsets)}")
    if not has_tracks(root):
        raise UserError(f"{root / subset}: no such folder; wanted {WANTED}")
    if root.name in SUBSETS and root.name != subset:
        raise UserError(
            f"{root}: holds tracks, but is not called {subset!r}; "
            f"use --subset {root.name}, or its parent as --root"
        )
    return root


def has_tracks(folder: Path) -> bool:
    """Return whether there are tracks in a folder, packed or not."""
    inner = (path for path in entries(folder) if path.is_dir())
    return bool(packed_in(folder)) or any(has_audio(path) for path in inner)
