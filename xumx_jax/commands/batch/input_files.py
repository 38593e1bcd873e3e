"""Find the tracks that the command line names, and choose the folders for their stems."""

import glob
import os
import shutil
import stat
import sys
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from xumx_jax import files
from xumx_jax.errors import UserError
from xumx_jax.separation import record

STDIN, PIPE = "stdin", "pipe"
# Suffixes searched for in folders; files given by name may have any.
SUFFIXES = frozenset(
    ".aac .ac3 .aif .aiff .amr .ape .au .avi .caf .flac .m4a .m4b .mka .mkv .mov .mp2 .mp3 .mp4 "
    ".mpc .mpg .oga .ogg .ogv .opus .ts .tta .w64 .wav .wave .webm .wma .wv".split()
)
WILD = set("*?[")


@dataclass(frozen=True)
class InputFile:
    """A file to read, its name in messages, and the folder for its stems.

    `copied` from a pipe; `note` is what to report of the folder.
    """

    path: Path
    label: str
    folder: Path
    copied: bool = False
    note: str = ""


@dataclass
class Found:
    """The tracks that the command line names, each once, and what there is to say about it.

    errors       (name in messages, error); the name is None for an input without tracks
    renamed      tracks with the same name as others, whose folders have other names
    passed_over  {suffix: number of files in the folders that were searched}
    """

    tracks: list[InputFile] = field(default_factory=list)
    errors: list[tuple[str | None, UserError]] = field(default_factory=list)
    renamed: list[InputFile] = field(default_factory=list)
    passed_over: Counter = field(default_factory=Counter)


class Spool:
    """Copies of what cannot be read twice: standard input and pipes. A context manager.

    Some formats have their table of contents at the end, so pipes are read to their end first.
    """

    def __init__(self):
        self._folder, self._copies = None, {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._folder is not None:
            self._folder.cleanup()

    def copy(self, name: str) -> Path | None:
        """A copy of what `name` stands for, if it is `-` or a pipe. Raises UserError."""
        piped = name == "-" or is_pipe(name)
        if piped and name not in self._copies:
            standard = name in ("-", "/dev/stdin")
            title = STDIN if standard else PIPE if name.startswith(("/dev/", "/proc/")) else name
            self._copies[name] = self._copied(None if standard else name, Path(title).name)
        return self._copies.get(name)

    def made(self, path: Path) -> bool:
        """Whether a path is one of the copies."""
        return path in self._copies.values()

    def _copied(self, name: str | None, title: str) -> Path:
        if name is None and sys.stdin is None:  # started with `<&-`
            raise UserError("stdin: is closed; wanted an audio file")
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="xumx-")
        path = Path(self._folder.name, str(len(self._copies)), title)
        path.parent.mkdir()
        try:
            with path.open("wb") as copy:
                if name is None:
                    shutil.copyfileobj(sys.stdin.buffer, copy, 1 << 20)
                else:
                    with open(name, "rb") as pipe:
                        shutil.copyfileobj(pipe, copy, 1 << 20)
        except OSError as error:
            raise UserError(
                f"{name or STDIN}: cannot be copied to {path.parent}: {error.strerror or error}; "
                "TMPDIR=FOLDER chooses another place"
            ) from None
        return path


def is_pipe(name: str) -> bool:
    """Whether a name is that of a pipe, or of a standard input that is one."""
    try:
        mode = os.stat(name).st_mode
    except (OSError, ValueError):  # said when it is its turn
        return False
    return stat.S_ISFIFO(mode) or (name == "/dev/stdin" and stat.S_ISSOCK(mode))


def find(inputs, out: Path, recursive: bool, spool: Spool) -> Found:
    """Find the tracks in files, folders, patterns, pipes and `-`.

    Stems go to OUT/<track>/, or below the same subfolders where a folder or pattern was searched.
    Tracks with the same name get distinct folders: with their full file names if they are in the
    same folder (`song.mp3`, `song.wav`), else with their folder's name in front, and a number if
    needed. A track that is where its stems would go is an error of that track.
    """
    found, result = {}, Found()
    for name in inputs:
        try:
            for path, label, inner in _expand(name, out, recursive, spool, result):
                found.setdefault(os.path.realpath(path), (path, label, inner))
        except UserError as error:
            result.errors.append((None, error))
        except (OSError, ValueError) as error:  # too long, NUL in it, links in a ring
            reason = getattr(error, "strerror", None) or str(error)
            result.errors.append((None, UserError(f"{name}: cannot be read: {reason}")))
    _place(list(found.values()), out, result, spool)
    return result


def _expand(name, out, recursive, spool, result) -> Iterator[tuple[Path, str, Path]]:
    """Yield (path, label, subfolder of OUT) for one input."""
    if not name:
        raise UserError("an input without a name; wanted a file, a folder, a pattern or -")
    copy = spool.copy(name)
    path = Path(name)
    if not os.path.lexists(path):
        path = files.expanded(path)
    if copy is not None:
        yield copy, STDIN if name == "-" else name, Path()
    elif path.is_dir():
        yield from _search(path, out, recursive, result)
    elif WILD & set(name) and not os.path.lexists(path):
        fixed = _fixed_part(path)
        pattern = os.path.join(glob.escape(str(fixed)), path.relative_to(fixed))
        matches = glob.glob(pattern, recursive=True, include_hidden=True)
        own, some = _own(fixed, out), False
        for file in sorted(map(Path, matches)):
            inner = file.relative_to(fixed)
            if file.is_file() and not any(map(files.hidden, inner.parts)):
                if own not in file.resolve().parents:
                    some = True
                    yield file, str(file), inner.parent
        if not some:
            raise UserError(f"{name}: no file matches")
    else:
        yield path, name, Path()


def _own(folder, out) -> Path | None:
    """OUT if it is below the folder that is searched: the stems there are not tracks."""
    own = out.resolve()
    return own if folder.resolve() in own.parents else None


def _fixed_part(pattern) -> Path:
    """The folder above the first part of a pattern that is none: that has a wildcard in it."""
    fixed = Path()
    for part in pattern.parts[:-1]:
        if WILD & set(part) and not (fixed / part).exists():
            break
        fixed = fixed / part
    return fixed


def _search(folder, out, recursive, result):
    """Yield the audio files in a folder, except hidden ones, those below OUT, and known stems."""
    own, paths, passed_over = _own(folder, out), [], Counter()
    for place, names in _walk(folder, recursive, result.errors):
        known = record.read(place)
        for name in names:
            path = place / name
            if files.hidden(name) or own in Path(os.path.realpath(path)).parents:
                continue
            suffix = path.suffix.lower()
            if suffix not in SUFFIXES or (known and name in known.stems):
                passed_over["stems" if suffix in SUFFIXES else suffix or "no suffix"] += 1
                continue
            paths.append(path)
    result.passed_over += passed_over
    if not paths:
        more = "" if recursive else "; --recursive searches its subfolders too"
        other = f" (passed over: {counted(passed_over)})" if passed_over else ""
        raise UserError(f"{folder}: no audio files in this folder{other}{more}")
    for path in sorted(paths):
        yield path, str(path), path.relative_to(folder).parent


def _walk(folder, recursive, errors):
    """Yield (folder, names of its files) as `os.walk`; links are followed, in a ring only once."""

    def fail(error):
        errors.append((None, UserError(f"{error.filename}: cannot be read: {error.strerror}")))

    seen = set()
    for place, folders, names in os.walk(folder, onerror=fail, followlinks=True):
        here = os.stat(place)
        key = here.st_dev, here.st_ino
        folders[:] = [name for name in folders if recursive and not files.hidden(name)]
        if key in seen:
            folders.clear()
            continue
        seen.add(key)
        yield Path(place), names


def counted(passed_over: Counter) -> str:
    """ ".jpg 10, .txt 2": the commonest first."""
    return ", ".join(f"{suffix} {number}" for suffix, number in passed_over.most_common())


def title_of(path: Path) -> str:
    """The name of a track: its file's, without `.mp3` or `.stem.mp4`."""
    return files.safe_name(path.stem.removesuffix(".stem") or path.stem, path.name)


def _place(found, out, result, spool) -> None:
    """Give every (path, label, subfolder) a folder of its own.

    Names that differ only in case count as one: some file systems do not distinguish them.
    """
    keys = {path: key_of(out / inner / title_of(path)) for path, _, inner in found}
    count_of = Counter(keys.values())
    parents: dict[str, set] = {}
    for path, key in keys.items():
        parents.setdefault(key, set()).add(path.parent)
    names, owned = {}, set()
    for path, _, inner in found:
        several = count_of[keys[path]] > 1
        if several and len(parents[keys[path]]) == 1:
            names[path] = path.name  # song.mp3 and song.wav side by side
        elif not several:
            names[path] = title_of(path)
        if path in names:
            key = key_of(out / inner / names[path])
            if key in owned:
                del names[path]
            owned.add(key)
    numbers: Counter = Counter()
    for path, label, inner in found:
        copied = spool.made(path)
        if other := path not in names:
            parent = "" if copied else path.resolve().parent.name
            names[path] = _free(out / inner, parent, title_of(path), owned, numbers)
        folder = out / inner / names[path]
        try:
            folder.is_dir()  # fails where a name is too long
            if path.parent.resolve() == folder.resolve():
                raise UserError(
                    f"{label}: is in {folder}, where its stems would go; use another --out"
                )
        except OSError as error:
            reason = UserError(f"{folder}: cannot be written: {error.strerror}")
            result.errors.append((label, reason))
        except UserError as error:
            result.errors.append((label, error))
        else:
            result.tracks.append(InputFile(path, label, folder, copied))
            if other:
                result.renamed.append(result.tracks[-1])


def _free(place, parent, title, owned, numbers) -> str:
    """A name that no other track has: with its folder's name in front, or a number behind.

    `numbers` counts how often each was tried, so that thousands of one name take no time.
    """
    named = f"{parent}_{title}" if parent else title
    if files.shortened(named) != named:
        named = title
    while True:
        key = key_of(place / named)
        numbers[key] += 1
        name = named if numbers[key] == 1 else f"{named}_{numbers[key]}"
        if key_of(place / name) not in owned:
            owned.add(key_of(place / name))
            return name


def key_of(folder) -> str:
    """The same for names that some file systems do not distinguish."""
    return unicodedata.normalize("NFC", str(folder)).casefold()
