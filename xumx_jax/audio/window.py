"""A part of a file, or one with another header, read as if it were a file."""

import io
import os
import struct

# {first bytes: (form of the samples' length, bytes from it to the samples, what it counts besides)}
_LENGTHS = {b"RIFF": ("<I", 4, 0), b"RIFX": (">I", 4, 0), b"RF64": ("<I", 4, 0)}
_LENGTHS |= {b"riff": ("<Q", 8, 24), b"FORM": (">I", 12, 8)}


class Window(io.RawIOBase):
    """`length` bytes from `begin` on of an open binary file, which nothing else may move.

    `changes` are bytes that replace the file's own: {position in the window: byte}.
    """

    def __init__(self, file, begin: int, length: int, changes: dict[int, int] | None = None):
        super().__init__()
        self.name = file.name  # FFmpeg recognises some formats by their suffix
        self._file, self._begin, self._length = file, begin, length
        self._at, self._changes = 0, changes or {}

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
        for at, byte in self._changes.items():
            if self._at <= at < self._at + count:
                room[at - self._at] = byte
        self._at += count
        return count


def with_length(file, sound) -> Window:
    """An open file whose header states what is there of its `sound`, a `riff.Sound`.

    Other formats than WAV, W64 and AIFF stay as they are.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    form, before, besides = _LENGTHS.get(file.read(4), ("", 0, 0))
    if not form:
        return Window(file, 0, size)
    stated = struct.pack(form, min(sound.there + besides, 256 ** struct.calcsize(form) - 1))
    return Window(file, 0, size, dict(enumerate(stated, sound.offset - before)))
