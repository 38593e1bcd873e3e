"""From what stands on the command line to tracks, and to the folders of their stems."""

import glob
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from xumx_jax.errors import UserError

STDIN = "stdin"
# What is looked for in folders; files that are named themselves may be called anything.
SUFFIXES = frozenset(
    ".aac .ac3 .aif .aiff .amr .ape .au .avi .caf .flac .m4a .m4b .mka .mkv .mov .mp2 .mp3 .mp4 "
    ".mpc .mpg .oga .ogg .ogv .opus .ts .tta .w64 .wav .wave .webm .wma .wv".split()
)
WILD = set("*?[")


@dataclass(frozen=True)
class Track:
    """A file to read, what messages call it, and the folder of its stems."""

    path: Path
    label: str
    folder: Path


def find(inputs, out: Path, recursive: bool, stdin: Path | None) -> tuple[list[Track], list]:
    """Tracks of files, folders, patterns and `-` (which `stdin` holds), each once, and errors.

    Stems go to OUT/<track>/, below the subfolders of a folder or pattern where one was searched.
    Raises UserError if two tracks would share a folder, or one lies where its stems would go.
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
    return _place(list(found.values()), out), errors


def spool_stdin(folder: str) -> Path:
    """Copy standard input to a file: formats with their table of contents at the end need one."""
    path = Path(folder) / STDIN
    with path.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file, 1 << 20)
    return path


def temporary_folder():
    return tempfile.TemporaryDirectory(prefix="xumx-")


def _expand(name, out, recursive, stdin):
    """Yield (path, label, subfolder of OUT) for one input."""
    if name == "-":
        yield stdin, STDIN, Path()
        return
    path = Path(name)
    if path.is_dir():
        yield from _search(path, out, recursive)
    elif WILD & set(name) and not path.exists():
        matches = sorted(Path(match) for match in glob.glob(name, recursive=True))
        files = [match for match in matches if match.is_file()]
        if not files:
            raise UserError(f"{name}: no file matches")
        fixed = _fixed_part(path)
        yield from ((file, str(file), file.relative_to(fixed).parent) for file in files)
    else:
        yield path, name, Path()


def _fixed_part(pattern) -> Path:
    """The folder above the first part of a pattern that has anything wild in it."""
    count = next(at for at, part in enumerate(pattern.parts) if WILD & set(part))
    return Path(*pattern.parts[:count])


def _search(folder, out, recursive):
    """Yield the audio files in a folder, but not those below OUT nor hidden ones."""
    own, some = out.resolve(), False
    own = own if folder.resolve() in own.parents else None
    for path in sorted(folder.rglob("*") if recursive else folder.iterdir()):
        inner = path.relative_to(folder)
        if path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        if any(part.startswith(".") for part in inner.parts) or own in path.resolve().parents:
            continue
        some = True
        yield path, str(path), inner.parent
    if not some:
        more = "" if recursive else "; --recursive looks into its folders too"
        raise UserError(f"{folder}: no audio files in this folder{more}")


def _title(path) -> str:
    """The name of a track: that of its file, without `.mp3` or `.stem.mp4`."""
    return path.stem.removesuffix(".stem") or path.stem


def _place(found, out) -> list[Track]:
    wanted: dict[Path, list] = {}
    for path, label, inner in found:
        wanted.setdefault(out / inner / _title(path), []).append((path, label))
    tracks, owners = [], {}
    for path, label, inner in found:
        folder = out / inner / _title(path)
        if len({other.parent for other, _ in wanted[folder]}) == 1 < len(wanted[folder]):
            folder = out / inner / path.name  # song.mp3 and song.wav side by side
        if folder in owners:
            raise UserError(
                f"{label}: its stems would go to {folder}, as those of {owners[folder]}; "
                "separate them with another --out"
            )
        if path.parent.resolve() == folder.resolve():
            raise UserError(
                f"{label}: lies in {folder}, where its stems would go; wanted another --out"
            )
        owners[folder] = label
        tracks.append(Track(path, label, folder))
    return tracks
