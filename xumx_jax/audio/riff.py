"""Where headers say that the sound of a file is: WAV in all its forms, and its relatives.

Libraries differ in what they make of a header that is wrong, so lengths are read and judged here,
for separating, training and evaluation alike. A recorder that was killed leaves a length of 0, a
program that writes to a pipe the largest number there is, and some count the header as sound.
"""

import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

# What may be missing because a program has counted its header or tags as sound.
_OFF_BYTES = 512
# {(coding, bits): libsndfile's name} of uncompressed WAV
_CODINGS = {
    **{(1, 8): "PCM_U8", (1, 16): "PCM_16", (1, 24): "PCM_24", (1, 32): "PCM_32"},
    **{(3, 32): "FLOAT", (3, 64): "DOUBLE", (6, 8): "ALAW", (7, 8): "ULAW"},
}
_EXTENSIBLE = 0xFFFE
_UNKNOWN_32 = 0xFFFFFFFF


class Sound(NamedTuple):
    """The part of a file that holds its sound, which may still be compressed.

    offset    of its first byte
    there     bytes to be read
    missing   bytes that the header states, but that are beyond the end of the file
    repaired  whether `there` is not what the header states
    remark    what is wrong with the header, for a warning; empty if it is usual
    """

    offset: int
    there: int
    missing: int = 0
    repaired: bool = False
    remark: str = ""


class Wav(NamedTuple):
    """A WAV header. `subtype` is libsndfile's name of the coding, None if it is a compressed one.

    `coding` is its number; `block` is the size of one sample of all channels in bytes, `endian` is
    LITTLE or BIG.
    """

    rate: int
    channels: int
    coding: int
    subtype: str | None
    block: int
    endian: str
    sound: Sound


def read_wav(file) -> Wav | None:
    """Read the header of an open WAV file: RIFF, RIFX (big-endian), RF64 or BW64; None: no WAV.

    None also if there are no samples in it, since the file ends before.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(12)
    if head[:4] not in (b"RIFF", b"RIFX", b"RF64", b"BW64") or head[8:] != b"WAVE":
        return None
    order = ">" if head[:4] == b"RIFX" else "<"
    form = data = None
    large = 0
    for name, at, length in _chunks(file, 12, size, order):
        if name == b"ds64":
            large = int.from_bytes(_read(file, at + 8, 8), "little")
        elif name == b"fmt " and length >= 16:
            form = _read(file, at, min(length, 40))
        elif name == b"data" and data is None:
            data = at, large if large and length == _UNKNOWN_32 else length
        if form and data:
            break
    if data is None or form is None or len(form) < 16:
        return None
    coding, channels, rate, _, block, bits = struct.unpack(order + "HHIIHH", form[:16])
    if coding == _EXTENSIBLE and len(form) >= 26:
        (coding,) = struct.unpack(order + "H", form[24:26])  # the sub-format's first two bytes
    subtype = _CODINGS.get((coding, bits))
    if not rate or block != channels * bits // 8 or not block:
        subtype = None
    endian = "BIG" if order == ">" else "LITTLE"
    return Wav(
        rate,
        channels,
        coding,
        subtype,
        block,
        endian,
        _measured(file, data[0], data[1], size, order),
    )


def read_sound(file) -> Sound | None:
    """Find the sound of an open file whose header states how long it is; None: unknown.

    For WAV, AIFF, W64, CAF and AU it is the samples, coded in any way; for fragmented MP4,
    Matroska and AVI whatever should be there but for a cut.
    """
    size = file.seek(0, os.SEEK_END)
    head = _read(file, 0, 16)
    if head[8:12] == b"WAVE":
        wav = read_wav(file)
        return wav and wav.sound
    if head[:4] == b"FORM":
        for name, at, length in _chunks(file, 12, size, ">"):
            if name == b"SSND":  # eight bytes precede the samples, and perhaps some padding
                before = 8 + int.from_bytes(_read(file, at, 4), "big")
                return _measured(file, at + before, max(0, length - before), size, ">")
            if name == b"BODY":
                return _measured(file, at, length, size, ">")
    elif head == _W64_RIFF:
        for name, at, length in _w64_chunks(file, size):
            if name == b"data":
                return _measured(file, at, length, size)
    elif head[:4] == b"caff":
        at = 8
        while len(chunk := _read(file, at, 12)) == 12 and _is_name(chunk[:4]):
            name, length = struct.unpack(">4sq", chunk)
            if name == b"data":  # a counter precedes the samples; -1: to the end of the file
                return _measured(file, at + 16, length - 4 if length > 0 else length, size)
            at += 12 + max(0, length)
    elif head[:4] in (b".snd", b"dns."):
        order = ">" if head[:1] == b"." else "<"
        begin, length = struct.unpack(order + "II", head[4:12])
        return _measured(file, begin, length, size)
    else:
        return _read_film(file, head, size)
    return None


def _measured(file, offset, stated, size, order="", off=_OFF_BYTES) -> Sound:
    """Compare the stated length with the size of the file; with `order`, chunks may follow.

    If up to `off` bytes are missing, the header is wrong; if more are, the file has been cut off.
    """
    behind = max(0, size - offset)
    unknown = stated < 0 or stated > 2**62 or 0x7FFFF000 <= stated <= 0x80000000
    if unknown or 0xFFFFF000 <= stated <= _UNKNOWN_32:
        return Sound(offset, behind, repaired=True)  # usual for what was written to a pipe
    if behind and not stated and not (order and _only_chunks(file, offset, size, order)):
        remark = "its header states a length of 0; it was read to its end"
        return Sound(offset, behind, repaired=True, remark=remark)
    if behind - stated > _UNKNOWN_32 and order:
        whole = stated + (behind - stated) // 2**32 * 2**32
        remark = "its header cannot count its length, which is above 4 GB; it was read whole"
        return Sound(offset, whole, repaired=True, remark=remark)
    missing = max(0, stated - behind)
    if 0 < missing <= min(off, stated // 4):
        remark = f"its header states {stated} bytes; the {behind} that are there were read"
        return Sound(offset, behind, repaired=True, remark=remark)
    return Sound(offset, stated - missing, missing)


def _only_chunks(file, at, size, order) -> bool:
    """Whether nothing but chunks follows, up to the end of the file."""
    for _, begin, length in _chunks(file, at, size, order):
        at = begin + length + length % 2
    return -1 <= size - at <= 1  # the last one's padding may be missing


def _chunks(file, at, size, order) -> Iterator[tuple[bytes, int, int]]:
    """Walk over the chunks of an IFF file: (name, position, length)."""
    while at + 8 <= size:
        name, length = struct.unpack(order + "4sI", _read(file, at, 8))
        if not _is_name(name):
            return
        yield name, at + 8, length
        at += 8 + length + length % 2


def _is_name(name) -> bool:
    """Whether it names a chunk, which zeros and most samples do not."""
    return name.isascii() and name.decode().isprintable()


_W64_RIFF = b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000")


def _w64_chunks(file, size) -> Iterator[tuple[bytes, int, int]]:
    at = 40
    while at + 24 <= size:
        name, length = struct.unpack("<4s12xQ", _read(file, at, 24))
        if not _is_name(name):
            return
        yield name, at + 24, max(0, length - 24) if length < 2**63 else -1
        at += max(24, length + -length % 8)


def _read_film(file, head, size) -> Sound | None:
    """Like `read_sound`, for containers of films: what is there, and what is missing."""
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return _read_matroska(file, size)
    if head[4:8] == b"ftyp":
        return _read_fragments(file, size)
    if head[:4] == b"RIFF" and head[8:11] == b"AVI":
        return _measured(file, 8, int.from_bytes(head[4:8], "little"), size, off=0)
    return None


def _read_matroska(file, size) -> Sound | None:
    """Follow the two outermost elements: a header, then a segment with everything in it."""
    at = 0
    for name in (b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"):
        head = _read(file, at, 12)
        if len(head) < 12 or head[:4] != name or not head[4]:
            return None
        width = 9 - head[4].bit_length()
        length = int.from_bytes(head[4 : 4 + width], "big") & ((1 << 7 * width) - 1)
        if length == (1 << 7 * width) - 1:  # not known while it was written
            return None
        begin, at = at + 4 + width, at + 4 + width + length
    return _measured(file, begin, at - begin, size, off=0)


def _read_fragments(file, size) -> Sound | None:
    """Walk over the boxes of MP4; without fragments, its own tables tell whether it is whole."""
    at, fragments = 0, False
    while at + 8 <= size:
        head = _read(file, at, 16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        fragments = fragments or head[4:8] == b"moof"
        if length < 8:  # 0: to the end of the file
            return None
        if fragments and at + length > size:
            return _measured(file, at, length, size, off=0)
        at += length
    return None


def _read(file, at, count) -> bytes:
    file.seek(at)
    return file.read(count)
