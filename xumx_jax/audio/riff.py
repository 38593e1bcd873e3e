"""Write WAV and RF64 of any length.

libsndfile cannot turn a WAV into RF64 once it has outgrown 4 GB, and reports a full disk as an
assertion.
"""

import struct

import numpy as np

from xumx_jax.audio.formats import quantise
from xumx_jax.audio.tags import NO_TAGS, info_chunk

# What 32 bits can count, less room for headers and tags.
LIMIT_BYTES = 0xFFFFFFFF - (1 << 20)
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_GUID = bytes.fromhex("000000001000800000aa00389b71")  # after the two bytes of the coding


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
