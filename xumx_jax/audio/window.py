"""A part of a file, read as if it were a file."""

import io
import os


class Window(io.RawIOBase):
    """`length` bytes from `begin` on of an open binary file, which nothing else may move."""

    def __init__(self, file, begin: int, length: int):
        super().__init__()
        self.name = file.name  # FFmpeg recognises some formats by their suffix
        self._file, self._begin, self._length = file, begin, length
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._length}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer, /) -> int:
        room = memoryview(buffer).cast("B")[: max(0, self._length - self._at)]
        self._file.seek(self._begin + self._at)
        count = self._file.readinto(room)
        self._at += count
        return count
