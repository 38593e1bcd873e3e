"""Files of any rate and number of channels, converted each time an excerpt is read."""

import math
from dataclasses import dataclass

import numpy as np

from pipelines.tracks import wav
from xumx_jax.audio import resample
from xumx_jax.audio.resample import resampled_length
from xumx_jax.files import digest_of

# What is read on both sides of an excerpt, in samples of the lower rate: twice what soxr's filter
# looks at. Excerpts then equal the same part of the whole file to rounding, or to 2e-5 where the
# rates' ratio is no simple one (44056 Hz).
MARGIN = 256


@dataclass(frozen=True)
class Converted:
    """A file as if it had this rate, and one channel, the mean, if it has more than `most`.

    It has the methods of a `wav.File`.
    """

    file: wav.File
    rate: int
    most: int

    integer = False

    @property
    def path(self):
        """Where the file is."""
        return self.file.path

    @property
    def channels(self) -> int:
        """The number of channels."""
        return self.file.channels if self.file.channels <= self.most else 1

    @property
    def samples(self) -> int:
        """The length at this rate."""
        return resampled_length(self.file.samples, self.file.rate, self.rate)

    @property
    def identity(self) -> tuple:
        """What identifies it among other files."""
        return (*self.file.identity, self.rate, self.most)

    @property
    def digest(self) -> str:
        """SHA-256 of the file and of what is made of it."""
        return digest_of([self.file.digest, f"{self.rate} {self.most}"])

    def read_into(self, start: int, out: np.ndarray) -> None:
        """Fill float32 `out` [time, channel] from sample `start` on, as `wav.File.read_into`."""
        if not len(out):
            return
        common = math.gcd(self.file.rate, self.rate)
        # in this many samples of the file there are that many of ours, exactly
        theirs, ours = self.file.rate // common, self.rate // common
        margin = -(-MARGIN * max(1, self.file.rate // self.rate) // theirs)
        first = max(0, start // ours - margin)
        last = -(-(start + len(out)) // ours) + margin
        count = min(last * theirs, self.file.samples) - first * theirs
        frames = np.empty((count, self.file.channels), np.float32)
        self.file.read_into(first * theirs, frames)
        if self.file.channels != self.channels:
            frames = frames.mean(1, keepdims=True)
        wave = resample(frames.T, self.file.rate, self.rate)
        skip = start - first * ours
        out[:] = wave[:, skip : skip + len(out)].T


def converted(file: wav.File, rate: int, most: int):
    """The file itself if it fits, else its conversion."""
    if file.rate == rate and file.channels in (1, most):
        return file
    return Converted(file, rate, most)
