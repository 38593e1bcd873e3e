"""The part of a stream of blocks that is still needed."""

from collections import deque
from collections.abc import Iterable

import numpy as np


class Feed:
    """Samples [channel, time] by their position in the stream, of which a part is kept.

    start, end   positions of the first sample kept and after the last one read
    over         whether the stream has ended there
    """

    def __init__(self, blocks: Iterable[np.ndarray]):
        self._blocks, self._parts = iter(blocks), deque()
        self.start = self.end = 0
        self.over = False

    def reach(self, stop: int) -> bool:
        """Read until position `stop` is known; False if the stream ends before."""
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

    def drop(self, before: int) -> None:
        """Forget what lies wholly before that position."""
        while self._parts and self._parts[0][0] + self._parts[0][1].shape[1] <= before:
            at, block = self._parts.popleft()
            self.start = at + block.shape[1]
