"""All stems of a job as one ZIP file, stored and not compressed, made while it is sent.

Sizes and checksums stand before each file, so that programs which unpack a stream can read it, and
the size of the whole is known in advance. The same stems make the same bytes.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from unicodedata import category

from xumx_jax.files import shortened
from xumx_jax.web.mixing import Download

_PIECE = 1 << 18  # bytes
_MOST, _MOST_FILES = 0xFFFFFFFF, 0xFFFF  # what the fields of the original format hold
_STORED, _UTF8 = 20, 0x800  # version that can unpack it; flag: names are UTF-8
_ZIP64 = 45
_MADE_BY = 3 << 8  # Unix, for the permissions
_MODE = 0o100644 << 16
_DATE = 0x21  # 1 January 1980, the first there is: the same stems make the same bytes
_LONGEST = 200  # bytes of a name: most file systems take 255


def song(name: str) -> str:
    """What a song is called, from the name of a client's file: "a/Song.mp3" is "Song".

    It can be the name of a file anywhere: characters that systems refuse become "_".
    """
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    clean = "".join("_" if _refused(character) else character for character in last)
    return PurePath(clean.strip(" .") or "track").stem.strip(" .") or "track"


def _refused(character) -> bool:
    # control characters, and those that turn the direction of text around
    return character in '<>:"/\\|?*' or category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def file_name(name: str, part: str, format: str) -> str:
    """The name of a download: ("Song.mp3", "vocals", "wav") -> "Song (vocals).wav"."""
    end = f" ({part}).{format}"
    return shortened(song(name), max(20, _LONGEST - len(end.encode()))) + end


def zipped(paths: Mapping[str, Path]) -> Download:
    """Make a ZIP of {name: file}, in this order; memory does not grow with the files.

    They are read twice, since a checksum stands before each. Raises OSError, and ValueError from
    `pieces` if a file changes meanwhile.
    """
    entries, at = [], 0
    for name, path in paths.items():
        entry = _Entry(name, path, at)
        entries.append(entry)
        at += len(entry.header()) + entry.size
    end = _end(entries, at)
    return Download(at + len(end), _pieces(entries, end))


def _large(size) -> bool:
    """Whether the original format's fields cannot hold it."""
    return size >= _MOST


def _pieces(entries, end) -> Iterator[bytes]:
    for entry in entries:
        yield entry.header()
        yield from entry.content()
    yield end


class _Entry:
    """A file in the archive. Field by field as in PKWARE's APPNOTE 6.3, sections 4.3 and 4.5."""

    def __init__(self, name, path, at):
        self.name, self.path, self.at = name.encode(), path, at
        self.size = self.crc = 0
        for piece in _read(path):
            self.size, self.crc = self.size + len(piece), zlib.crc32(piece, self.crc)

    def header(self) -> bytes:
        large = _large(self.size)
        extra = struct.pack("<HHQQ", 1, 16, self.size, self.size) if large else b""
        return struct.pack("<4s", b"PK\3\4") + self._shared(large, extra) + self.name + extra

    def listed(self) -> bytes:
        """Its entry in the directory at the end."""
        large, far = _large(self.size), _large(self.at)
        values = [self.size] * 2 * large + [self.at] * far
        extra = struct.pack(f"<HH{len(values)}Q", 1, 8 * len(values), *values) if values else b""
        version = _ZIP64 if values else _STORED
        return (
            struct.pack("<4sH", b"PK\1\2", _MADE_BY | version)
            + self._shared(large, extra, version)
            + struct.pack("<HHHII", 0, 0, 0, _MODE, _MOST if far else self.at)
            + self.name
            + extra
        )

    def content(self) -> Iterator[bytes]:
        size = crc = 0
        for piece in _read(self.path):
            size, crc = size + len(piece), zlib.crc32(piece, crc)
            yield piece
        if (size, crc) != (self.size, self.crc):
            raise ValueError(f"{self.path.name}: changed while it was sent")

    def _shared(self, large, extra, version=None) -> bytes:
        size = _MOST if large else self.size
        version = version or (_ZIP64 if large else _STORED)
        times = (0, _DATE)
        sizes = (size, size, len(self.name), len(extra))
        return struct.pack("<HHHHHIIIHH", version, _UTF8, 0, *times, self.crc, *sizes)


def _end(entries, at) -> bytes:
    """The directory, and where it is."""
    directory = b"".join(entry.listed() for entry in entries)
    count, size = len(entries), len(directory)
    more = b""
    if count >= _MOST_FILES or _large(size) or _large(at):
        versions = (_MADE_BY | _ZIP64, _ZIP64)
        more = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, *versions, 0, 0, count, count, size, at)
        more += struct.pack("<4sIQI", b"PK\6\7", 0, at + size, 1)
    counts = [min(count, _MOST_FILES)] * 2
    places = [_MOST if _large(value) else value for value in (size, at)]
    return directory + more + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, *counts, *places, 0)


def _read(path) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while piece := file.read(_PIECE):
            yield piece
