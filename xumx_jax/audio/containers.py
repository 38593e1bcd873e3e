"""Files and containers: opening them safely, tags of any, and writing WAV and RF64 of any length.

libsndfile cannot turn a WAV into RF64 once it has outgrown 4 GB, and reports a full disk as an
assertion.
"""

import errno
import io
import os
import stat
import struct
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from xumx_jax.audio import covers
from xumx_jax.errors import UserError

# FFmpeg's names of tags that are still true for a stem; loudness and encoder delay are not
KEPT = (
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


# FFmpeg's containers that may hold sound, by its names: the only ones that are tried. None makes it
# read another file, a device or a host, as playlists do; samples without any header are not among
# them, since nobody could know their rate.
_CONTAINERS = (
    # music and speech
    *"aac ac3 ac4 aea aiff amr amrnb amrwb apac ape ast au avr bonk caf daud dfpwm dsf dss".split(),
    *"dts dtshd eac3 epaf flac g722 gsm hcom iamf iff ilbc ircam laf lc3 loas lvf mca mlp".split(),
    *"mmf mp3 mpc mpc8 nistsphere nsp ogg oma osq paf pvf qcp qoa rka rso sbc sds sdx".split(),
    *"shn sln sol sox spdif s337m tak truehd tta voc vqf w64 wav wavarc wsd wv wve xwma".split(),
    # films
    *"asf asf_o avi dv flv gxf ivr kux live_flv lxf matroska mov mpeg mpegts mtv mv mxf".split(),
    *"nsv nut nuv pmp pva rm smjpeg swf ty wtv vividas vivo".split(),
    # games
    *"3dostr 4xm aa aax ace acm act adp ads adx afc aix alp apc apm argo_asf argo_brp".split(),
    *"bfi bfstm bink binka bmv boa brstm dcstr derf dsicin dxa ea film_cpk fsb fwse genh".split(),
    *"hca hnm idcin ipmovie iss jv kvag mm mods moflex msf mtaf musx mvi pp_bnk psxstr".split(),
    *"redspark rl2 roq rpl rsd scd sdns siff smk smush svag svs thp usm vag vmd vpk".split(),
    *"wady wc3movie wsaud wsvqa xa xmd xmv xvag yop".split(),
)
_SPECIAL = {stat.S_IFIFO: "pipe", stat.S_IFCHR: "device", stat.S_IFBLK: "device"}
_SPECIAL |= {stat.S_IFSOCK: "socket"}


def check_file(path) -> None:
    """Raise UserError unless `path` is a regular file that is not empty; it is not opened."""
    with told(path):
        found = os.stat(path)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if special := _SPECIAL.get(stat.S_IFMT(found.st_mode)):
            # opening it might wait for ever
            raise UserError(f"{path}: is a {special}; use a file (or - in `xumx separate`)")
        if not os.access(path, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if not found.st_size:
            raise UserError(f"{path}: the file is empty (0 bytes); wanted an audio file")


@contextmanager
def told(path):
    """Turn whatever a file can cause into a UserError that names it."""
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
    except MemoryError:
        reason = "it needs more memory than there is"
    except struct.error:
        reason = "its header is cut off"
    except (ValueError, RuntimeError, ArithmeticError) as error:
        reason = " ".join(str(error).split())
    else:
        return
    raise UserError(f"{path}: cannot be read: {reason}; wanted an audio file") from None


def open_binary(path) -> io.FileIO:
    """Open a regular file, unbuffered for libsndfile's sake. Raises UserError as `check_file`."""
    check_file(path)
    with told(path):
        # should it have become a pipe meanwhile, this does not wait for somebody to write to it
        file = open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb", buffering=0)
        file.name = str(path)
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise UserError(f"{path}: is no regular file any more; wanted an audio file")
        return file


class _File:
    """A file for PyAV, which prints a line for each seek to nowhere that raises an exception."""

    def __init__(self, file):
        self.name, self.read, self.tell = getattr(file, "name", ""), file.read, file.tell
        self._file = file

    def seek(self, offset, whence):
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError):
            return -errno.EINVAL  # as FFmpeg's own files answer


def open_container(file):
    """Open a binary file with PyAV; tags that are not UTF-8 must not hide its audio.

    The file's name is passed on, since FFmpeg recognises some formats only by their suffix; no
    other file is opened, whatever this one is called or refers to.
    """
    import av

    file.seek(0)
    # PyAV 19 has no such argument, and accepts such tags
    known = int(av.__version__.split(".")[0]) < 19
    more: dict[str, Any] = {"metadata_errors": "replace"} if known else {}
    options = {"format_whitelist": ",".join(_CONTAINERS), "protocol_whitelist": "none"}
    return av.open(_File(file), options=options, **more)


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
        with open_binary(path) as file:
            return tags_of(file)
    except (OSError, UserError):
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
            text = {name: text[name] for name in KEPT if text.get(name)}
            cover = covers.first(container) if container.streams.video else None
            return Tags(text, cover, covers.mime(cover) if cover else "")
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
