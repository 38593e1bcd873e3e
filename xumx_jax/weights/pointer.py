"""Pointers: small files that name an immutable checkpoint beside them, such as a run's `best`.

To replace what a pointer names is to write another folder and then the pointer, in one step: who
reads beside the writer finds one or the other, whole. A reader holds a lock that other readers
share, and a folder that is held is not removed.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from xumx_jax import files
from xumx_jax.errors import CheckpointError

FORMAT = 1
LARGEST = 1000  # bytes of a pointer
EARLIER = "earlier"


def is_pointer(path: Path) -> bool:
    """Say whether a path is a pointer, damaged or not."""
    try:
        if path.suffix or not path.is_file() or path.stat().st_size > LARGEST:
            return False
        return isinstance(json.loads(path.read_bytes()), dict)
    except (OSError, ValueError):
        return False


def follow(path: Path) -> Path:
    """The folder that a pointer names; any other path as it is.

    Raises CheckpointError for a pointer of a later format, or without a name in it.
    """
    if not is_pointer(path):
        return path
    content = json.loads(path.read_bytes())
    number, name = content.get("format"), content.get("folder")
    if isinstance(number, int) and number > FORMAT:
        raise CheckpointError(f"{path}: has format {number}, wanted {FORMAT}; install a newer one")
    if not isinstance(name, str) or not name or Path(name).name != name:
        raise CheckpointError(f"{path}: names no checkpoint")
    return path.resolve().parent / name


def point(path: Path, step: int, write: Callable[[Path], None]) -> None:
    """Have `write(folder)` make a folder beside `path`, and let `path` name it from then on.

    The folder before stays as well, for readers that are about to open it, and so does any that is
    being read. A folder at `path` itself, as earlier versions had it, becomes `<name>-earlier`.
    """
    folder, before = free_name(path, f"{step:08d}"), follow(path)
    write(folder)
    if path.is_dir():
        before = path.rename(free_name(path, EARLIER))
    files.write(path, json.dumps({"format": FORMAT, "step": step, "folder": folder.name}) + "\n")
    for other in path.parent.glob(f"{path.name}-*"):
        if other.name not in (folder.name, before.name) and other.is_dir():
            remove_unread(other)


def recover(path: Path) -> None:
    """Undo what `point` did if it was killed while it replaced a folder; nobody may be writing."""
    earlier = path.with_name(f"{path.name}-{EARLIER}")
    if earlier.is_dir() and not path.exists():
        earlier.rename(path)


def free_name(path: Path, ending: str) -> Path:
    """`<name>-<ending>`, or with a number after it where the pointer's own folder is called so.

    Another of that name was left by a process that was killed, and nothing names it: it goes.
    """
    used, count = follow(path).name, 1
    wanted = path.with_name(f"{path.name}-{ending}")
    place = wanted
    while place.name == used or (place.exists() and not remove_unread(place)):
        count += 1
        place = wanted.with_name(f"{wanted.name}.{count}")
    return place


def remove_unread(folder: Path) -> bool:
    """Remove a checkpoint unless a process reads it just now; says whether it is gone."""
    try:
        with files.locked(folder, waiting=None):
            shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        return False
    return not folder.exists()


@contextmanager
def reading(find: Callable[[], Path]) -> Iterator[Path]:
    """Hold the checkpoint that `find()` gives, which another process may replace meanwhile."""
    folder = find()
    while True:
        try:
            with files.locked(folder, shared=True):
                if folder.exists():
                    yield folder
                    return
        except FileNotFoundError:
            pass
        before, folder = folder, find()
        if folder == before:
            raise CheckpointError(f"{folder}: no such checkpoint")
