"""A file in a store that is read block by block, and what changes when it does."""

import hashlib
import io
import os
from collections import OrderedDict

from xumx_jax.errors import UserError
from xumx_jax.stores.access import filesystem, told
from xumx_jax.stores.urls import is_web, shown

BLOCK_BYTES, BLOCKS = 1 << 21, 8  # what one request reads, and how many a file keeps
_TAGS = ("ETag", "etag", "e_tag", "md5Hash", "content_md5", "Content-MD5")
_TIMES = ("last_modified", "LastModified", "mtime", "updated", "created", "Last-Modified")


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
        whole = is_web(self.url) and not self.info.get("partial")
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
