"""Samples that stay in their files until they are read: `waves[:, :, start:stop]`."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.tracks.track import Clip

BLOCK_SECONDS = 10.0


class Interrupted(Exception):
    """The run has been interrupted; raised to whoever reads samples, to make it stop."""


class Waves:
    """[source, channel, time] read from files, each source the sum of its parts.

    Shorter files are followed by silence, longer ones are cut. Mono files go to every channel.
    Slices of all three axes give arrays: float32, or float64 where parts are added up.
    `check` is called before each reading, and may raise.
    """

    def __init__(
        self,
        sums: Sequence[Clip],
        channels: int,
        samples: int,
        check: Callable[[], None] = lambda: None,
    ):
        self.sums, self.check = [tuple(clip) for clip in sums], check
        self.shape = (len(self.sums), channels, samples)
        self.dtype = np.dtype(np.float64 if any(len(s) > 1 for s in self.sums) else np.float32)

    def __getitem__(self, key) -> np.ndarray:
        sources, channels, time = key
        start, stop, step = time.indices(self.shape[2])
        if step != 1:
            raise IndexError("waves are read sample by sample; wanted a step of 1")
        chosen, count = self.sums[sources], max(0, stop - start)
        out = np.zeros((len(chosen), self.shape[1], count), self.dtype)
        for row, clip in zip(out, chosen, strict=True):
            for part in clip:
                self.check()
                block = np.empty((max(0, min(count, part.samples - start)), len(row)), np.float32)
                part.file.read_into(part.start + start, block)
                total = row[:, : len(block)]
                (np.add if part.sign == 1 else np.subtract)(total, block.T, out=total)
        return out[:, channels]

    def pick(self, rows: Sequence[int]) -> "Waves":
        """Only these sources, in this order."""
        return Waves([self.sums[row] for row in rows], *self.shape[1:], self.check)

    def blocks(self, rate: int) -> Iterator[tuple[int, np.ndarray]]:
        """Iterate over the whole length: (start, [source, channel, time])."""
        size = max(1, round(BLOCK_SECONDS * rate))
        for start in range(0, self.shape[2], size):
            yield start, self[:, :, start : start + size]


@dataclass(frozen=True)
class Scan:
    """What was found in each source: silence throughout, and samples that are not finite.

    A source is silent in museval's sense: if its channels add up to 0 in every sample.
    """

    silent: np.ndarray
    bad: np.ndarray
    first_bad: np.ndarray


def scan(waves: Waves, rate: int) -> Scan:
    """Check every sample once."""
    sources = waves.shape[0]
    silent, bad = np.ones(sources, bool), np.zeros(sources, int)
    first = np.full(sources, -1)
    for start, block in waves.blocks(rate):
        wrong = ~np.isfinite(block).all(1)
        new = (first < 0) & wrong.any(1)
        first[new] = start + wrong[new].argmax(1)
        bad += np.count_nonzero(~np.isfinite(block), axis=(1, 2))
        with np.errstate(invalid="ignore"):
            silent &= ~block.sum(1).any(1)
    return Scan(silent, bad, first)
