"""Files in a store through fsspec: opening the store, reading, writing, listing, and its errors."""

import atexit
import importlib.util
import os
import posixpath
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from xumx_jax.errors import UserError
from xumx_jax.stores.urls import is_url, shown

EXTRA = "pip install 'xumx_jax[cluster]'"
# Kinds for which obstore stands in where the usual package of fsspec is missing.
_OBSTORE = frozenset("s3 s3a gs gcs az abfs abfss adl azure".split())
# What obstore puts in front of the reason: the request, and how often it was tried.
_DETAILS = re.compile(r"^Generic \w+ error: (?:Error performing .* - )?")
_SETTLE_SECONDS = 0.1
_REASONS = {
    "PermissionDeniedError": "permission denied",
    "UnauthenticatedError": "permission denied: the credentials are missing or wrong",
    "NoCredentialsError": "permission denied: there are no credentials",
    "NotFoundError": "there is no such file",
    "FileNotFoundError": "there is no such file",
    "PermissionError": "permission denied",
}


def filesystem(url: str) -> tuple[Any, str]:
    """fsspec's file system for a URL, and the path in it. Raises UserError if there is none."""
    kind = url.partition("://")[0].lower()
    try:
        import fsspec
    except ImportError:
        raise UserError(f"{shown(url)}: needs more packages; {EXTRA}") from None
    if kind not in fsspec.available_protocols() and kind not in _OBSTORE:
        raise UserError(f"{shown(url)}: {kind}:// is unknown; wanted s3://, gs://, https:// ...")
    try:
        return fsspec.core.url_to_fs(url)
    except ImportError:
        if kind not in _OBSTORE or importlib.util.find_spec("obstore") is None:
            raise UserError(f"{shown(url)}: needs more packages; {EXTRA}") from None
    except Exception as error:
        raise _told(error, url, "opened") from None
    from obstore.fsspec import FsspecStore

    _settle_at_exit()
    protocol: Any = {"gcs": "gs"}.get(kind, kind)
    endpoint = os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT") or ""
    with told(url, "opened"):
        store = FsspecStore(
            protocol,
            client_options={"allow_http": endpoint.startswith("http://")},
            retry_config={"max_retries": 4, "retry_timeout": timedelta(seconds=60)},
        )
        return store, url.partition("://")[2]


@cache
def _settle_at_exit() -> None:
    """Let obstore's threads end what they do in Python before the interpreter goes.

    A thread that has just handed over an answer still waits for the interpreter's lock; if it does
    while Python ends, it aborts the process, whatever its exit status was.
    """
    atexit.register(time.sleep, _SETTLE_SECONDS)


@contextmanager
def told(url: str, done: str = "read") -> Iterator[None]:
    """Turn whatever a store answers into a UserError that names the file: "cannot be <done>"."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # each package has exceptions of its own
        raise _told(error, url, done) from None


def _told(error: BaseException, url: str, done: str) -> UserError:
    reason, cause = _REASONS.get(type(error).__name__), error.__cause__
    if isinstance(error, FileNotFoundError) and cause is not None and "404" not in str(cause):
        reason, error = None, cause  # fsspec's word for a web server that does not answer
    if reason is None:
        lines = str(getattr(error, "strerror", None) or error).strip().splitlines()
        reason = _DETAILS.sub("", lines[0]) if lines else type(error).__name__
        reason = re.sub(r"\?\S*", "", reason).strip(" :")[:200]  # what follows is a signature
        reason = "permission denied" if "403 Forbidden" in reason else reason
    return UserError(f"{shown(url)}: cannot be {done}: {reason}")


@contextmanager
def _missing_allowed() -> Iterator[None]:
    """Leave the block if a file is not there; others may remove what we do."""
    try:
        yield
    except FileNotFoundError:
        pass
    except Exception as error:
        if type(error).__name__ != "NotFoundError":  # obstore's
            raise


def exists(url: str) -> bool:
    """Whether there is a file of this name. Raises UserError."""
    store, path = filesystem(url)
    with told(url):
        return bool(store.isfile(path))


def read(url: str) -> bytes | None:
    """All of a small file; None if there is none. Raises UserError."""
    store, path = filesystem(url)
    with told(url):
        with _missing_allowed():
            return bytes(store.cat_file(path))
    return None


def write(url: str, content: bytes) -> None:
    """Write or replace a small file. Raises UserError."""
    store, path = filesystem(url)
    with told(url, "written"):
        store.pipe_file(path, content)


def upload(source: Path, url: str) -> None:
    """Copy a local file to a store, in parts if it is large; it appears when it is complete."""
    store, path = filesystem(url)
    with told(url, "written"):
        store.put_file(str(source), path)


def remove(url: str) -> None:
    """Remove a file if it is there. Raises UserError."""
    store, path = filesystem(url)
    with told(url, "removed"):
        with _missing_allowed():
            store.rm_file(path)


def entries(folder: str) -> dict[str, dict]:
    """{name: fsspec's `info`} of the files in a folder, none if there is no such folder."""
    store, path = filesystem(folder)
    store.invalidate_cache()
    with told(folder):
        with _missing_allowed():
            found = store.ls(path, detail=True)
            return {posixpath.basename(one["name"]): one for one in found if one["type"] == "file"}
    return {}


def search(place: str, recursive: bool = False, pattern: bool = False) -> list[str]:
    """The URLs of all files in a folder, or of those that match a `pattern`, sorted."""
    store, path = filesystem(place)
    kind = place.partition("://")[0]
    with told(place):
        if pattern:
            found = store.glob(path, detail=True)
        else:
            found = store.find(path, maxdepth=None if recursive else 1, detail=True)
        if not found:  # it may be that the folder cannot be read, which these do not say
            with _missing_allowed():
                store.ls(path.partition("*")[0] if pattern else path, detail=False)
    names = [name for name, info in found.items() if info["type"] == "file"]
    return sorted(name if is_url(name) else f"{kind}://{name.lstrip('/')}" for name in names)
