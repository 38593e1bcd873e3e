"""Find the tracks that the command line names, and choose the folders for their stems."""

import glob
import shutil
import sys
import tempfile
import unicodedata
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from xumx_jax.errors import UserError

STDIN = "stdin"
# Suffixes searched for in folders; files given by name may have any.
SUFFIXES = frozenset(
    ".aac .ac3 .aif .aiff .amr .ape .au .avi .caf .flac .m4a .m4b .mka .mkv .mov .mp2 .mp3 .mp4 "
    ".mpc .mpg .oga .ogg .ogv .opus .ts .tta .w64 .wav .wave .webm .wma .wv".split()
)
WILD = set("*?[")
_LONGEST = 240  # bytes of a name, of which most file systems take 255; numbers may follow


@dataclass(frozen=True)
class InputFile:
    """A file to read, its name in messages, and the folder for its stems."""

    path: Path
    label: str
    folder: Path


def find(
    inputs, out: Path, recursive: bool, stdin: Path | None
) -> tuple[list[InputFile], list, list]:
    """Find the tracks in files, folders, patterns and `-` (spooled to `stdin`), each once.

    -> (tracks, errors, the tracks that got another name than their own)

    Stems go to OUT/<track>/, or below the same subfolders where a folder or pattern was searched.
    Tracks with the same name get distinct folders: with their full file names if they are in the
    same folder (`song.mp3`, `song.wav`), else with their folder's name in front, and a number if
    needed. Raises UserError if a track is where its stems would go, or if a folder cannot be made.
    """
    found, errors = {}, []
    for name in inputs:
        try:
            for path, label, inner in _expand(name, out, recursive, stdin):
                found.setdefault(path.resolve(), (path, label, inner))
        except UserError as error:
            errors.append(error)
        except OSError as error:  # such as a name that is too long
            errors.append(UserError(f"{name}: cannot be read: {error.strerror}"))
    tracks, renamed = _place(list(found.values()), out)
    for track in tracks:
        try:
            track.folder.is_dir()
        except OSError as error:  # as above
            raise UserError(f"{track.folder}: cannot be written: {error.strerror}") from None
    return tracks, errors, renamed


def spool_stdin(folder: str) -> Path:
    """Copy standard input to a file, for formats whose table of contents is at the end."""
    if sys.stdin is None:  # started with `<&-`
        raise UserError("stdin: is closed; wanted an audio file")
    path = Path(folder) / STDIN
    with path.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file, 1 << 20)
    return path


def temporary_folder():
    return tempfile.TemporaryDirectory(prefix="xumx-")


def _expand(name, out, recursive, stdin):
    """Yield (path, label, subfolder of OUT) for one input."""
    if name == "-" and stdin is not None:
        yield stdin, STDIN, Path()
        return
    path = Path(name)
    if path.is_dir():
        yield from _search(path, out, recursive)
    elif WILD & set(name) and not path.exists():
        matches = sorted(Path(match) for match in glob.glob(name, recursive=True))
        fixed = _fixed_part(path)
        own = _own(fixed, out)
        files = [file for file in matches if file.is_file() and own not in file.resolve().parents]
        if not files:
            raise UserError(f"{name}: no file matches")
        yield from ((file, str(file), file.relative_to(fixed).parent) for file in files)
    else:
        yield path, name, Path()


def _own(folder, out) -> Path | None:
    """OUT if it is below the folder that is searched: the stems there are not tracks."""
    own = out.resolve()
    return own if folder.resolve() in own.parents else None


def _fixed_part(pattern) -> Path:
    """The folder above the first part of a pattern that has a wildcard in it."""
    count = next(at for at, part in enumerate(pattern.parts) if WILD & set(part))
    return Path(*pattern.parts[:count])


def _search(folder, out, recursive):
    """Yield the audio files in a folder, except hidden ones and those below OUT."""
    own, some = _own(folder, out), False
    for path in sorted(folder.rglob("*") if recursive else folder.iterdir()):
        inner = path.relative_to(folder)
        if path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        if any(part.startswith(".") for part in inner.parts) or own in path.resolve().parents:
            continue
        some = True
        yield path, str(path), inner.parent
    if not some:
        more = "" if recursive else "; --recursive searches its subfolders too"
        raise UserError(f"{folder}: no audio files in this folder{more}")


def _title(path) -> str:
    """The name of a track: its file's, without `.mp3` or `.stem.mp4`."""
    return path.stem.removesuffix(".stem") or path.stem


def _place(found, out) -> tuple[list[InputFile], list[InputFile]]:
    """Give every (path, label, subfolder) a folder of its own -> (tracks, those renamed).

    Names that differ only in case count as one: some file systems do not distinguish them.
    """
    wanted: dict[str, list[Path]] = {}
    for path, _, inner in found:
        wanted.setdefault(_key(out / inner / _title(path)), []).append(path)
    names, owned, renamed = {}, set(), []
    for path, _, inner in found:
        same = wanted[_key(out / inner / _title(path))]
        if len({other.parent for other in same}) == 1 < len(same):
            names[path] = path.name  # song.mp3 and song.wav side by side
        elif len(same) == 1:
            names[path] = _title(path)
        if path in names:
            key = _key(out / inner / names[path])
            if key in owned:
                del names[path]
            owned.add(key)
    tracks = []
    for path, label, inner in found:
        if other := path not in names:
            parent = "" if label == STDIN else path.resolve().parent.name
            names[path] = _free(out / inner, parent, _title(path), owned)
        folder = out / inner / names[path]
        if path.parent.resolve() == folder.resolve():
            raise UserError(f"{label}: is in {folder}, where its stems would go; use another --out")
        tracks.append(InputFile(path, label, folder))
        if other:
            renamed.append(tracks[-1])
    return tracks, renamed


def _free(place, parent, title, owned) -> str:
    """A name that no other track has: with its folder's name in front, or a number behind."""
    named = f"{parent}_{title}" if parent else title
    if len(named.encode()) > _LONGEST:
        named = title
    name = named
    for number in count(2):
        if _key(place / name) not in owned:
            owned.add(_key(place / name))
            return name
        name = f"{named}_{number}"
    raise AssertionError("numbers do not end")


def _key(folder) -> str:
    return unicodedata.normalize("NFC", str(folder)).casefold()
