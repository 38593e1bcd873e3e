"""Files in object stores and on web servers: s3://, gs://, az://, https:// and all fsspec knows.

What fsspec needs for a kind of store is used if it is installed (s3fs, gcsfs, adlfs); without it,
obstore serves, which the extra `cluster` brings. Credentials and endpoints are found as these find
them, mostly in variables of the environment.

There is no rename in an object store: a file is there once it has been uploaded as a whole, and
several files belong together once a last one says so.
"""

import hashlib
import importlib.util
import io
import os
import posixpath
import re
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from xumx_jax.errors import UserError

EXTRA = "pip install 'xumx_jax[cluster]'"
BLOCK_BYTES, BLOCKS = 1 << 21, 8  # what one request reads, and how many a file keeps
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.I)
# Kinds for which obstore stands in where the usual package of fsspec is missing.
_OBSTORE = frozenset("s3 s3a gs gcs az abfs abfss adl azure".split())
_TAGS = ("ETag", "etag", "e_tag", "md5Hash", "content_md5", "Content-MD5")
_TIMES = ("last_modified", "LastModified", "mtime", "updated", "created", "Last-Modified")
# What obstore puts in front of the reason: the request, and how often it was tried.
_DETAILS = re.compile(r"^Generic \w+ error: (?:Error performing .* - )?")
_REASONS = {
    "PermissionDeniedError": "permission denied",
    "UnauthenticatedError": "permission denied: the credentials are missing or wrong",
    "NoCredentialsError": "permission denied: there are no credentials",
    "NotFoundError": "there is no such file",
    "FileNotFoundError": "there is no such file",
    "PermissionError": "permission denied",
}


def is_url(text) -> bool:
    """Whether a text names a file in a store rather than on a disk (`file://` is a disk)."""
    return isinstance(text, str) and bool(_URL.match(text)) and not text.startswith("file://")


def shown(url: str) -> str:
    """A URL for messages and reports: without a user's name, and without a signature behind `?`."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{place}{parts.path}"


def name_of(url: str) -> str:
    """The name of the file that a URL leads to."""
    return posixpath.basename(urlsplit(url).path.rstrip("/"))


def join(place: str, *names: str) -> str:
    """The URL of a file below the folder `place`."""
    return "/".join([place.rstrip("/"), *names])


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

    endpoint = os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT") or ""
    with told(url, "opened"):
        store = FsspecStore(
            kind,
            client_options={"allow_http": endpoint.startswith("http://")},
            retry_config={"max_retries": 4, "retry_timeout": timedelta(seconds=60)},
        )
        return store, url.partition("://")[2]


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
        reason = reason.split("?")[0].strip(" :")[:200]
        reason = "permission denied" if "403 Forbidden" in reason else reason
    return UserError(f"{shown(url)}: cannot be {done}: {reason}")


class StoredFile(io.RawIOBase):
    """A file in a store, read block by block; a context manager.

    At most BLOCKS blocks of BLOCK_BYTES are in memory. Where a server sends files only as a whole,
    the file is copied to a temporary one first. Reading never raises, since the libraries that
    decode would only print it: the file ends, and `error` says why, a UserError. Opening raises
    UserError.
    """

    def __init__(self, url: str):
        super().__init__()
        self.url, self.name, self.error = url, shown(url), None
        self._fs, self._path = filesystem(url)
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._at, self._copy = 0, None
        with told(url):
            self.info = self._fs.info(self._path)
        if self.info.get("type") == "directory":
            raise UserError(f"{self.name}: is a folder; wanted an audio file")
        size = self.info.get("size")
        whole = self.url.startswith("http") and not self.info.get("partial")
        if size is None or whole:
            self._copied()
        else:
            self.size = int(size)
        if not self.size:
            raise UserError(f"{self.name}: the file is empty (0 bytes); wanted an audio file")

    def _copied(self) -> None:
        import tempfile

        self._copy = tempfile.TemporaryFile()
        with told(self.url), self._fs.open(self._path, "rb") as source:
            while block := source.read(BLOCK_BYTES):
                self._copy.write(block)
        self.size = self._copy.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer, /) -> int:
        room = memoryview(buffer).cast("B")
        begin = self._at
        while room and (piece := self._piece(len(room))):
            room[: len(piece)] = piece
            room, self._at = room[len(piece) :], self._at + len(piece)
        return self._at - begin

    def _piece(self, most: int) -> bytes:
        if self._copy is not None:
            self._copy.seek(self._at)
            return self._copy.read(most)
        number, skip = divmod(self._at, BLOCK_BYTES)
        return self._block(number)[skip : skip + most]

    def _block(self, number: int) -> bytes:
        first = number * BLOCK_BYTES
        if self.error is not None or first >= self.size:
            return b""
        if number not in self._blocks:
            last = min(self.size, first + BLOCK_BYTES)
            try:
                with told(self.url):
                    block = self._fs.cat_file(self._path, start=first, end=last)
                    if len(block) != last - first:
                        raise OSError(f"got {len(block)} of {last - first} bytes from {first} on")
            except UserError as error:
                self.error = error
                return b""
            self._blocks[number] = bytes(block)
            while len(self._blocks) > BLOCKS:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(number)
        return self._blocks[number]

    def close(self) -> None:
        self._blocks.clear()
        if self._copy is not None:
            self._copy.close()
        super().close()

    def identity(self) -> str:
        """What changes when the file does: the store's own tag, else SHA-256 of all of it."""
        if tag := tag_of(self.info):
            return tag
        state = hashlib.sha256()
        self.seek(0)
        while block := self.read(BLOCK_BYTES):
            state.update(block)
        self.seek(0)
        if self.error is not None:
            raise self.error
        return state.hexdigest()


def tag_of(info: dict) -> str:
    """The store's own tag of a file from its `info`: of its content, else size and time; or ""."""
    for name in _TAGS:
        if info.get(name):
            return f"etag:{str(info[name]).strip().removeprefix('W/').strip(chr(34))}"
    for name in _TIMES:
        if info.get(name):
            return f"changed:{info.get('size')}:{info[name]}"
    return ""


def read(url: str) -> bytes | None:
    """All of a small file; None if there is none. Raises UserError."""
    store, path = filesystem(url)
    with told(url):
        try:
            return bytes(store.cat_file(path))
        except FileNotFoundError:
            return None
        except Exception as error:
            if type(error).__name__ == "NotFoundError":  # obstore's
                return None
            raise


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
        try:
            store.rm_file(path)
        except FileNotFoundError:
            pass


def entries(folder: str) -> dict[str, dict]:
    """{name: fsspec's `info`} of the files in a folder, none if there is no such folder."""
    store, path = filesystem(folder)
    store.invalidate_cache()
    with told(folder):
        try:
            found = store.ls(path, detail=True)
        except FileNotFoundError:
            return {}
        return {posixpath.basename(one["name"]): one for one in found if one["type"] == "file"}


def search(place: str, recursive: bool = False, pattern: bool = False) -> list[str]:
    """The URLs of all files in a folder, or of those that match a `pattern`, sorted."""
    store, path = filesystem(place)
    kind = place.partition("://")[0]
    with told(place):
        if pattern:
            found = store.glob(path, detail=True)
        else:
            found = store.find(path, maxdepth=None if recursive else 1, detail=True)
    names = [name for name, info in found.items() if info["type"] == "file"]
    return sorted(name if is_url(name) else f"{kind}://{name.lstrip('/')}" for name in names)
