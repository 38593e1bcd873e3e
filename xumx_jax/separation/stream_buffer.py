"""Hold samples of a stream: by their position in it, or as a queue."""

from collections import deque
from collections.abc import Iterable

import numpy as np


class StreamBuffer:
    """Samples [channel, time] by their position in a stream, a part of which is kept.

    start, end   positions of the first sample kept and after the last one read
    over         whether the stream has ended there
    """

    def __init__(self, blocks: Iterable[np.ndarray]):
        self._blocks, self._parts = iter(blocks), deque()
        self.start = self.end = 0
        self.over = False

    def reach(self, stop: int) -> bool:
        """Read up to position `stop`; False if the stream ends before that."""
        while self.end < stop and not self.over:
            block = next(self._blocks, None)
            if block is None:
                self.over = True
            elif block.shape[1]:
                self._parts.append((self.end, block))
                self.end += block.shape[1]
        return self.end >= stop

    def cut(self, start: int, stop: int) -> np.ndarray:
        """The samples from `start` to `stop`: a view where they came in one block."""
        found = [
            block[:, max(0, start - at) : stop - at]
            for at, block in self._parts
            if at < stop and start < at + block.shape[1]
        ]
        return found[0] if len(found) == 1 else np.concatenate(found, axis=1)

    def surrounded(self, start: int, stop: int, silence: float, lead: int = 0) -> np.ndarray:
        """A copy of the samples from `start` to `stop`, one of which at least has been read.

        What the stream has not got, before it and behind it, and its first `lead` samples are
        `silence`.
        """
        wave = self.cut(max(0, start), stop)
        filled = np.full((wave.shape[0], stop - start), silence, np.float32)
        at = max(0, -start)
        filled[:, at : at + wave.shape[1]] = wave
        filled[:, : max(0, lead - start)] = silence
        return filled

    def frames(self, transform, first: int, last: int) -> np.ndarray:
        """The samples that frames `first` to `last` (exclusive) of a transform cover, and no more.

        The stream's beginning, and its end once it is over, are reflected as the transform does.
        """
        begin = first * transform.hop - transform.n_fft // 2
        stop = (last - 1) * transform.hop + transform.n_fft - transform.n_fft // 2
        left, right = max(0, -begin), max(0, stop - self.end)
        # as much as is to be reflected, where there is so much
        start = max(0, min(begin, self.end - right - 1))
        wave = self.cut(start, min(self.end, max(stop, left + 1)))
        if left or right:
            wave = np.pad(wave, ((0, 0), (left, right)), mode="reflect")
        return wave[:, left + begin - start :][:, : stop - begin]

    def complete(self, transform) -> int:
        """How many frames are complete: all of them once the stream has ended."""
        if self.over:
            return transform.frames(self.end)
        return max(0, (self.end - transform.n_fft // 2) // transform.hop)

    def drop(self, before: int) -> None:
        """Drop the blocks that end before that position."""
        while self._parts and self._parts[0][0] + self._parts[0][1].shape[1] <= before:
            at, block = self._parts.popleft()
            self.start = at + block.shape[1]


class SampleQueue:
    """Blocks of arrays [..., time], put in at any length and taken out at any other."""

    def __init__(self):
        self.samples, self._blocks = 0, deque()

    def put(self, block):
        self._blocks.append(block)
        self.samples += block.shape[-1]

    def take(self, samples) -> np.ndarray:
        """Return the next [..., samples]; at least one, and no more than there are."""
        if not 0 < samples <= self.samples:
            raise AssertionError(f"{samples} samples wanted of {self.samples}")
        self.samples -= samples
        parts = []
        while samples:
            block = self._blocks.popleft()
            if block.shape[-1] > samples:
                self._blocks.appendleft(block[..., samples:])
                block = block[..., :samples]
            samples -= block.shape[-1]
            parts.append(block)
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)
