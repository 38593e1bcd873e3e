"""The outline of a stem that a page draws: the lowest and highest samples of short stretches."""

import numpy as np

FRAMES = 512  # of a stretch
FULL = 127  # what full scale becomes


class Peaks:
    """Make pairs of int8 (lowest, highest) of every FRAMES frames, over all channels.

    127 is full scale, before any gain; what is beyond it is cut to it. `frames` frames become
    ceil(frames / FRAMES) pairs, 2 bytes each, in order.
    """

    def __init__(self):
        self._low = self._high = np.zeros(0, np.float32)

    def push(self, block: np.ndarray) -> bytes:
        """The pairs that [channel, time] completes."""
        self._low = np.concatenate([self._low, block.min(axis=0)])
        self._high = np.concatenate([self._high, block.max(axis=0)])
        return self._take(len(self._low) // FRAMES, FRAMES)

    def finish(self) -> bytes:
        """The pair of what is left, if anything is."""
        return self._take(1, len(self._low)) if len(self._low) else b""

    def _take(self, count, frames) -> bytes:
        end = count * frames
        low = self._low[:end].reshape(count, frames).min(axis=1)
        high = self._high[:end].reshape(count, frames).max(axis=1)
        self._low, self._high = self._low[end:], self._high[end:]
        pairs = np.rint(np.stack([low, high], axis=1) * FULL)
        return np.clip(pairs, -FULL, FULL).astype(np.int8).tobytes()
