"""Pointers: small files that name an immutable checkpoint beside them, such as a run's `best`.

To replace the checkpoint, another folder is written and then the pointer, in one step: a concurrent
reader finds the old one or the new one, complete. A reader holds a lock that other readers share,
and a folder that is being read is not removed.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from xumx_jax import files
from xumx_jax.errors import CheckpointError

FORMAT = 1
LARGEST = 1000  # bytes of a pointer
EARLIER = "earlier"


def is_pointer(path: Path) -> bool:
    """Return whether a path is a pointer, damaged or not."""
    try:
        if path.suffix or not path.is_file() or path.stat().st_size > LARGEST:
            return False
        return isinstance(json.loads(path.read_bytes()), dict)
    except (OSError, ValueError):
        return False


def follow(path: Path) -> Path:
    """The folder that a pointer names; any other path unchanged.

    Raises CheckpointError for a pointer in a later format, or one without a name.
    """
    if not is_pointer(path):
        return path
    content = json.loads(path.read_bytes())
    number, name = content.get("format"), content.get("folder")
    if isinstance(number, int) and number > FORMAT:
        raise CheckpointError(f"{path}: has format {number}, wanted {FORMAT}; install a newer one")
    if not isinstance(name, str) or not files.safe_name(name, ""):
        raise CheckpointError(f"{path}: names no checkpoint")
    return path.resolve().parent / name


def point(path: Path, step: int, write: Callable[[Path], None]) -> None:
    """Let `write(folder)` make a folder beside `path`, then point `path` to it.

    The previous folder is kept as well, for readers that are about to open it, and so is any folder
    being read. A folder at `path` itself, as in earlier versions, becomes `<name>-earlier`.
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
    """Repair what `point` left if it was killed while replacing a folder; nobody may be writing."""
    earlier = path.with_name(f"{path.name}-{EARLIER}")
    if earlier.is_dir() and not path.exists():
        earlier.rename(path)


def free_name(path: Path, ending: str) -> Path:
    """`<name>-<ending>`, with a number if the pointer's own folder has that name.

    Any other folder of that name was left by a killed process, and nothing names it: remove it.
    """
    used, count = follow(path).name, 1
    wanted = path.with_name(f"{path.name}-{ending}")
    place = wanted
    while place.name == used or (place.exists() and not remove_unread(place)):
        count += 1
        place = wanted.with_name(f"{wanted.name}.{count}")
    return place


def remove_unread(folder: Path) -> bool:
    """Remove a checkpoint unless a process is reading it; return whether it is gone."""
    try:
        with files.locked(folder, waiting=None):
            shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        return False
    return not folder.exists()


@contextmanager
def reading(find: Callable[[], Path]) -> Iterator[Path]:
    """Hold the checkpoint that `find()` returns, which another process may replace meanwhile.

    Raises CheckpointError if there is none, or if it cannot be opened.
    """
    with ExitStack() as held:
        folder = find()
        while not _hold(folder, held):
            before, folder = folder, find()
            if folder == before:
                raise CheckpointError(f"{folder}: no such checkpoint")
        yield folder


def _hold(folder: Path, held: ExitStack) -> bool:
    """Lock a folder; return whether it was still there."""
    try:
        held.enter_context(files.locked(folder, shared=True))
    except FileNotFoundError:
        return False
    except OSError as error:
        raise CheckpointError(f"{folder}: cannot be read ({error.strerror or error})") from error
    return folder.exists()
