"""The cache folder for data: one writer at a time, and disk space checked in advance."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from xumx_jax import files, runtime
from xumx_jax.errors import UserError


def cache_folder(chosen="") -> Path:
    """The folder given, else the one where weights are cached."""
    return files.expanded(chosen) if chosen else runtime.cache_folder()


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Make a folder and hold its lock: a second process waits, and then finds the work done.

    Raises UserError if the folder cannot be written to.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(files.locked(folder / ".lock"))
        except OSError as error:
            raise unusable(folder, error) from error
        yield


def check_space(folder: Path, wanted: int, what: str) -> None:
    """Raise UserError if a folder's disk has less than `wanted` bytes left."""
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise UserError(
            f"{folder}: {what} needs {wanted / 1e9:.1f} GB, {free / 1e9:.1f} GB is free; "
            "XUMX_CACHE=FOLDER chooses another place, or for some data sets the option `cache`"
        )


def unusable(folder: Path, error: OSError) -> UserError:
    return UserError(f"{folder}: cannot be used as a cache ({error.strerror or error})")
