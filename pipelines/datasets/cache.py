"""The cache folder of data: whole entries only, one writer at a time, no surprise about space."""

import fcntl
import shutil
from contextlib import contextmanager
from pathlib import Path

from xumx_jax.errors import UserError

PART = ".part"  # at the end of what is not complete yet


def cache_folder(chosen="") -> Path:
    """The folder given, else the one that weights are cached in."""
    if chosen:
        return Path(chosen).expanduser()
    from xumx_jax import runtime

    return runtime.cache_folder()


@contextmanager
def only_writer(folder: Path):
    """Make a folder and hold its lock: a second process waits here, then finds the work done.

    The system lets go of the lock when a process dies. Raises UserError if the folder cannot be
    written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / ".lock", "w")
    except OSError as error:
        raise unusable(folder, error) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def check_space(folder: Path, wanted: int, what: str) -> None:
    """Raises UserError if a folder's disk has less than `wanted` bytes left."""
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise UserError(
            f"{folder}: {what} needs {wanted / 1e9:.1f} GB, {free / 1e9:.1f} GB are free; "
            "XUMX_CACHE=FOLDER or the data set's option `cache` chooses another place"
        )


def unusable(folder: Path, error: OSError) -> UserError:
    return UserError(f"{folder}: cannot be used as a cache ({error.strerror or error})")
