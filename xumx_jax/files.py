"""Atomic writing of files and folders, locks between processes, digests.

While a file is being written it is beside its final place, under a hidden name that ends in `.part`
and contains the process number and random digits: writers in two containers may have the same
process number. `remove_leftovers` removes what a killed process left behind.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Any

from xumx_jax.errors import UserError

TAIL_DIGEST, TAIL = "md5-tail", 10_240_000  # how UVR tells its files apart; bytes
PART, OLD = ".part", ".old"  # what is being written, what is being replaced


def partial_name(path: Path) -> Path:
    """A name beside `path` that no other writer uses: `.<name>.<process>-<random>.part`."""
    name = shortened(path.name, 180)
    return path.with_name(f".{name}.{os.getpid()}-{token_hex(4)}{PART}")


def shortened(name: str, size: int = 240) -> str:
    """The beginning of a name, at most `size` bytes of it: most file systems take 255."""
    while len(os.fsencode(name)) > size:
        name = name[:-1]
    return name


def safe_name(title: str, fallback: str) -> str:
    """`title` if a file or folder can be called that, else `fallback`.

    A title is data: "..", or one with a slash in it, would be another place.
    """
    impossible = title in ("", os.curdir, os.pardir) or "\0" in title
    return fallback if impossible or os.path.basename(title) != title else title


def is_name(text) -> bool:
    """Whether a text, such as a stem's name, can be the name of a file on any system."""
    return isinstance(text, str) and safe_name(text, "") != "" and "\\" not in text


def check_name(path: Path) -> None:
    """Raise UserError if no file can have this name, whether or not there is one."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None
    except ValueError:
        raise UserError(f"{str(path)!r}: cannot be written: a name has no NUL") from None


def check_place(folder: Path, paths=()) -> None:
    """Raise UserError if the folder, or files in it, cannot be made."""
    for path in paths:
        if path.is_dir():
            raise UserError(f"{path}: cannot be written: it is a folder")
    places = (folder, *folder.parents)
    nearest = next(place for place in places if place.exists() or place.is_symlink())
    if not nearest.is_dir():
        raise UserError(f"{folder}: cannot be written: {nearest} is not a folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise UserError(f"{folder}: cannot be written: {nearest} is read-only")


@contextmanager
def replacing(path: Path, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary name to write to; the file becomes `path` in one step on success.

    Missing folders are made; `durable` as in `rename`. Raises OSError.
    """
    partial = partial_name(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
        rename(partial, path, durable)
    finally:
        partial.unlink(missing_ok=True)


def rename(partial: Path, path: Path, durable: bool = True) -> None:
    """Rename a finished file to `path`, replacing a file or a link there. Raises OSError.

    With `durable`, its content and then its name have reached the disk when this returns.
    """
    if durable:
        flush(partial)
    partial.replace(path)
    if durable:
        flush(path.parent)


def hidden(name: str) -> bool:
    """Return whether a name is that of a hidden or an unfinished file.

    A title may begin with several dots ("...Baby One More Time").
    """
    dots = len(name) - len(name.lstrip("."))
    return dots == 1 or name.endswith(PART)


def expanded(path: str | Path) -> Path:
    """A path in which ~ is the user's folder: shells leave it as it is within `--root=~/music`."""
    return Path(os.path.expanduser(path))


def write(path: Path, content: str | bytes) -> None:
    """Write or replace a file in one step, making its folders. Raises UserError naming the file."""
    content = content.encode() if isinstance(content, str) else content
    try:
        # such as /dev/null, which must not be replaced
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise UserError(f"{path}: cannot be written (it is not a regular file)")
        with replacing(path) as partial:
            partial.write_bytes(content)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error


@contextmanager
def replacing_folder(place: Path) -> Iterator[Path]:
    """Yield an empty folder beside `place` that becomes `place` in one step on success.

    Everything in it reaches the disk before that; whatever was at `place` is then removed. Raises
    OSError.
    """
    partial = partial_name(place)
    try:
        partial.mkdir(parents=True)
        yield partial
        for path in [*partial.rglob("*"), partial]:
            flush(path)
        replace_folder(partial, place)
    finally:
        remove_quietly(partial)


def replace_folder(new: Path, place: Path) -> None:
    """Rename a folder to `place`, then remove what it replaces. Raises OSError.

    Other writers wait. Linux swaps the two names, so there is a complete folder at `place` at every
    moment. Elsewhere, and on file systems that cannot swap, there is none for a moment; if the
    process is killed then, the old one is `.<name>.old`, which `remove_leftovers` renames back and
    the next call removes. Only where there are no locks either (`locked`) can a writer still fail
    because of another. A reader that opens one file after the other may get files of both folders,
    unless it holds the lock meanwhile: `locked(place.parent, shared=True)`.
    """
    old = place.with_name(f".{place.name}{OLD}")
    with locked(place.parent):
        if not exchange(new, place):
            if os.path.lexists(place):
                remove_quietly(old)
                place.rename(old)
            try:
                new.rename(place)
            except OSError:
                if os.path.lexists(old):
                    old.rename(place)
                raise
        flush(place.parent)
        remove_quietly(old)
    remove_quietly(new)


def exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step; return False where that is impossible or one does not exist."""
    import ctypes

    here, swap = -100, 2  # AT_FDCWD, RENAME_EXCHANGE of Linux's fcntl.h and fs.h
    try:
        renameat2 = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):  # another system
        return False
    return renameat2(here, os.fsencode(one), here, os.fsencode(other), swap) == 0


def remove_leftovers(folder: Path) -> None:
    """Clean up what killed processes left in a folder; nobody else may be writing there."""
    for path in folder.glob(f".*{PART}"):
        remove_quietly(path)
    for old in folder.glob(f".*{OLD}"):
        place = old.with_name(old.name[1 : -len(OLD)])
        if os.path.lexists(place):
            remove_quietly(old)
        else:  # killed between the two renames
            old.rename(place)


def flush(path: Path) -> None:
    """Wait until a file, or a folder's list of names, has reached the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextmanager
def locked(
    path: Path, waiting: Callable[[], object] | None = lambda: None, shared: bool = False
) -> Iterator[None]:
    """Hold a lock that other processes wait for: on a file, created if missing, or on a folder.

    The system releases it when the process dies; the file stays, since removing it would be a race.
    `waiting()` is called before this process has to wait; None raises BlockingIOError instead.
    With `shared`, others may share it, and a missing file is not created: FileNotFoundError. Where
    there are no locks (Windows, some network drives) nobody waits.
    """
    number = None
    if not (shared or path.is_dir()):
        path.parent.mkdir(parents=True, exist_ok=True)
        number = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    else:
        try:
            number = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            raise
        except OSError:  # a folder that may be written but not read; Windows
            pass
    try:
        if number is not None:
            _acquire(number, waiting, shared)
        yield
    finally:
        if number is not None:
            os.close(number)


def _acquire(number, waiting, shared) -> None:
    try:
        import fcntl

        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        fcntl.flock(number, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        if waiting is None:
            raise
        waiting()
        fcntl.flock(number, kind)
    except (ImportError, OSError):
        pass


def digest(path: Path, algorithm: str = "sha256") -> str:
    """The digest of a file, as hexadecimal digits; "md5-tail" is the MD5 of its last TAIL bytes."""
    with path.open("rb") as file:
        if algorithm != TAIL_DIGEST:
            return hashlib.file_digest(file, algorithm).hexdigest()
        file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
        return hashlib.md5(file.read(), usedforsecurity=False).hexdigest()


def digest_of(parts: Iterable[Any]) -> str:
    """SHA-256 of strings (in UTF-8), bytes and arrays, one after the other."""
    state = hashlib.sha256()
    for part in parts:
        state.update(part.encode() if isinstance(part, str) else part)
    return state.hexdigest()


def digest_of_all(paths: Iterable[tuple[str, Path]]) -> str:
    """SHA-256 of several files: of the lines "<name> <digest>", in the order given."""
    return digest_of(f"{name} {digest(path)}\n" for name, path in paths)


def digest_of_path(path: Path) -> str:
    """SHA-256 of a file or, for a folder, of its files' names and digests."""
    if path.is_file():
        return digest(path)
    found = sorted(file for file in path.rglob("*") if file.is_file())
    return digest_of_all((file.relative_to(path).as_posix(), file) for file in found)


def digest_of_value(value: Any) -> str:
    """SHA-256 of a value that JSON can hold, whatever the order of its keys."""
    return digest_of([json.dumps(value, sort_keys=True)])


def remove_quietly(path: Path) -> None:
    """Remove a file, a link or a folder if it exists and may be removed; never raises OSError."""
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
