"""Containers: headers of WAV, Ogg and MP3 files, tags of any, and WAV and RF64 of any length.

Libraries repair headers or guess their contents, so what they state is read here. libsndfile cannot
turn a WAV into RF64 once it has outgrown 4 GB, and reports a full disk as an assertion.
"""

import os
import struct
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from xumx_jax.audio import covers

# FFmpeg's names of tags that are still true for a stem; loudness and encoder delay are not
_KEPT = (
    *("title", "artist", "album", "album_artist", "composer", "performer", "date", "genre"),
    *("track", "disc", "publisher", "copyright", "comment"),
)
# {FFmpeg's name: that of a WAV's INFO chunk}
_INFO = {
    "title": b"INAM",
    "artist": b"IART",
    "album": b"IPRD",
    "date": b"ICRD",
    "genre": b"IGNR",
    "track": b"IPRT",
    "copyright": b"ICOP",
    "comment": b"ICMT",
}
# {FFmpeg's name: libsndfile's}
SOUNDFILE = {
    **{name: name for name in ("title", "artist", "album", "date", "genre")},
    **{"track": "tracknumber", "copyright": "copyright", "comment": "comment"},
}


def open_container(file):
    """Open a binary file with PyAV; tags that are not UTF-8 must not hide its audio.

    The file's name is passed on, since FFmpeg recognises some formats only by their suffix.
    """
    import av

    file.seek(0)
    # PyAV 19 has no such argument, and accepts such tags
    known = int(av.__version__.split(".")[0]) < 19
    more: dict[str, Any] = {"metadata_errors": "replace"} if known else {}
    return av.open(file, **more)


@dataclass(frozen=True)
class Tags:
    """`text` under FFmpeg's names, and the cover as a file; stems get it if it is a JPEG or PNG.

    NUL characters, and parts of names of files that are not Unicode, which no format holds, are
    replaced in the text.
    """

    text: dict[str, str] = field(default_factory=dict)
    cover: bytes | None = None
    mime: str = ""

    def __post_init__(self):
        text = {
            name: str(value).replace("\0", " ").encode(errors="replace").decode()
            for name, value in self.text.items()
        }
        object.__setattr__(self, "text", text)

    def of_stem(self, stem: str) -> "Tags":
        """The same for one stem, whose name is appended to the title."""
        if "title" not in self.text:
            return self
        return replace(self, text={**self.text, "title": f"{self.text['title']} ({stem})"})


NO_TAGS = Tags()


def read_tags(path) -> Tags:
    """Read the tags of a file; `Tags()` if it has none, or none in a known form."""
    try:
        with open(path, "rb") as file:
            return tags_of(file)
    except OSError:
        return NO_TAGS


def tags_of(file) -> Tags:
    """Like `read_tags`, for a seekable binary file, whose position changes."""
    from av.error import FFmpegError

    try:
        with open_container(file) as container:
            text = dict(container.metadata)
            for stream in container.streams.audio[:1]:  # where Ogg keeps them
                text = {**stream.metadata, **text}
            text = {name.lower(): value for name, value in text.items()}
            text = {name: text[name] for name in _KEPT if text.get(name)}
            cover = covers.first(container)
            return Tags(text, cover, covers.mime(cover or b""))
    except (FFmpegError, ValueError):
        return NO_TAGS


def info_chunk(tags: Tags) -> bytes:
    """The LIST chunk of a WAV file, empty if there is nothing to say."""
    body = b""
    for name, code in _INFO.items():
        if value := tags.text.get(name):
            data = value.encode() + b"\0"
            body += struct.pack("<4sI", code, len(data)) + data + b"\0" * (len(data) % 2)
    return struct.pack("<4sI4s", b"LIST", 4 + len(body), b"INFO") + body if body else b""


def riff_frames(file) -> int:
    """Length in samples that the header of a PCM or float WAV states, 0 if it states none."""
    file.seek(0)
    head = file.read(12)
    if head[:4] not in (b"RIFF", b"RF64") or head[8:12] != b"WAVE":
        return 0
    bytes_64 = bytes_each = 0
    while len(chunk := file.read(8)) == 8:
        name, size = chunk[:4], int.from_bytes(chunk[4:], "little")
        if name == b"data":
            if size == 0xFFFFFFFF and bytes_64:
                size = bytes_64
            elif size >> 16 in (0x7FFF, 0xFFFF):  # from a pipe: the length was not known
                return 0
            return size // bytes_each if bytes_each else 0
        body = file.read(min(size + size % 2, 64))
        file.seek(size + size % 2 - len(body), os.SEEK_CUR)
        if name == b"ds64":
            bytes_64 = int.from_bytes(body[8:16], "little")
        if name == b"fmt " and int.from_bytes(body[:2], "little") in (1, 3, 0xFFFE):
            bytes_each = int.from_bytes(body[12:14], "little")
    return 0


@dataclass(frozen=True)
class Pages:
    """What is known of an Ogg file: its streams, whether the first is Vorbis, whether it ends."""

    streams: int = 0
    vorbis: bool = False
    cut: bool = False


def ogg_pages(file) -> Pages:
    """Walk over the pages of an Ogg file, which states no length; `Pages()` if it is none."""
    file.seek(0)
    streams, vorbis = 0, False
    if file.read(4) != b"OggS":
        return Pages()
    size, at = os.fstat(file.fileno()).st_size, 0
    while at < size:
        file.seek(at)
        head = file.read(27)
        lengths = file.read(head[26]) if len(head) == 27 else b""
        if len(head) < 27 or len(lengths) < head[26]:
            return Pages(streams, vorbis, cut=True)
        if head[:4] != b"OggS":  # something appended, or damage that decoders step over
            break
        if head[5] & 2:  # the first page of a stream
            vorbis = vorbis or (not streams and file.read(7) == b"\x01vorbis")
            streams += 1
        at += 27 + len(lengths) + sum(lengths)
    return Pages(streams, vorbis, cut=at > size)


def mp3_states_length(file) -> bool:
    """Whether an MP3 opens with a Xing/Info tag, which counts its frames."""
    file.seek(0)
    head = file.read(10)
    skip = 0
    if head[:3] == b"ID3":
        # four times seven bits
        skip = 10 + sum(b << s for b, s in zip(head[6:10], (21, 14, 7, 0), strict=True))
    file.seek(skip)
    first = file.read(2048)
    return b"Xing" in first or b"Info" in first


# What 32 bits can count, less room for headers and tags.
LIMIT_BYTES = 0xFFFFFFFF - (1 << 20)
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_GUID = bytes.fromhex("000000001000800000aa00389b71")  # after the two bytes of the coding


def quantise(wave, bits):
    """Round float samples to integers of `bits`, same shape; 24 bits sit in the top of int32.

    Done here because libsndfile scales by 2^(b-1) - 1 when writing but by 2^(b-1) when reading.
    """
    full = 2 ** (bits - 1)
    levels = np.clip(np.rint(wave.astype(np.float64) * full), -full, full - 1)
    if bits == 16:
        return levels.astype(np.int16)
    return levels.astype(np.int32) << (32 - bits)


def file_bytes(frames, channels, bits, tags=NO_TAGS) -> int:
    """The size of the file that `WavFile` makes."""
    fmt = 16 if channels <= 2 else 40
    data = frames * channels * int(bits[:2]) // 8
    return 12 + 36 + 8 + fmt + 8 + data + data % 2 + len(info_chunk(tags))


class WavFile:
    """Write [channel, time] blocks to a binary file as WAV, as RF64 where that outgrows 4 GB.

    `frames` is the length if it is known, which a file that cannot seek (a pipe) needs for a true
    header; `tags` are written at the end. Raises OSError if `file` does.
    """

    def __init__(self, file, rate, channels, bits, frames=None, tags=NO_TAGS):
        self.file, self.rate, self.channels, self.bits = file, rate, channels, bits
        self._info = info_chunk(tags)
        self._stated, self._frames = frames, 0
        self._bytes_each = channels * int(bits[:2]) // 8
        file.write(self._header(frames))

    def write(self, block):
        block = block.T  # [time, channel]
        if self.bits == "32f":
            data = np.ascontiguousarray(block, "<f4")
        elif self.bits == "16":
            data = np.ascontiguousarray(quantise(block, 16), "<i2")
        else:  # the top three bytes of four
            data = np.ascontiguousarray(quantise(block, 24), "<i4").view(np.uint8)
            data = np.ascontiguousarray(data.reshape(-1, 4)[:, 1:])
        self.file.write(data.data)
        self._frames += len(block)

    def close(self):
        if not self.file.closed:
            with self.file:
                self.finish()

    def finish(self):
        """Write what follows the samples, and leave the file open."""
        if self._frames * self._bytes_each % 2:
            self.file.write(b"\0")
        self.file.write(self._info)
        if self._frames != self._stated and self.file.seekable():
            self.file.seek(0)
            self.file.write(self._header(self._frames))
        self.file.flush()

    def _header(self, frames) -> bytes:
        bits = int(self.bits[:2])
        coding = _FLOAT if self.bits == "32f" else _PCM
        shape = (self.channels, self.rate, self.rate * self._bytes_each, self._bytes_each, bits)
        if self.channels > 2:
            fmt = struct.pack("<HHIIHHHHIH", _EXTENSIBLE, *shape, 22, bits, 0, coding) + _GUID
        else:
            fmt = struct.pack("<HHIIHH", coding, *shape)
        data = (frames or 0) * self._bytes_each
        # "WAVE", then 36 bytes kept free for RF64's lengths, fmt, data and tags
        whole = 4 + 36 + 8 + len(fmt) + 8 + data + data % 2 + len(self._info)
        large = whole > LIMIT_BYTES
        spare = struct.pack("<QQQI", whole, data, frames or 0, 0) if large else bytes(28)
        if large or frames is None:
            whole = data = 0xFFFFFFFF
        return (
            (b"RF64" if large else b"RIFF")
            + struct.pack("<I4s", whole, b"WAVE")
            + struct.pack("<4sI", b"ds64" if large else b"JUNK", 28)
            + spare
            + struct.pack("<4sI", b"fmt ", len(fmt))
            + fmt
            + struct.pack("<4sI", b"data", data)
        )
