"""Cross-fade chunks of a long signal; no files, no devices, no models."""

import numpy as np


def triangle(chunk: int) -> np.ndarray:
    """Weights [time], positive everywhere and largest in the middle, where context is best."""
    index = np.arange(chunk)
    return (np.minimum(index + 1, chunk - index) / ((chunk + 1) // 2)).astype(np.float32)


class OverlapAdd:
    """Overlap-add chunks [source, channel, time] that come in order, and return finished samples.

    Each chunk is weighted by a window [time] and the sum divided by the summed weights, so any
    positive window rebuilds an unchanged input exactly; where all weights are 0, so is the sum. It
    holds the samples between `done`, up to which samples have been returned, and the end of the
    furthest chunk.
    """

    def __init__(self):
        self.done = 0
        self._total: np.ndarray | None = None  # [source, channel, time]
        self._weights = np.zeros(0, np.float32)

    def add(self, start: int, chunk: np.ndarray, window: np.ndarray) -> None:
        """Add a chunk that begins at `start`. Raises ValueError for one that leaves a gap."""
        if chunk.shape[-1] != len(window):
            raise ValueError(f"a chunk has {chunk.shape[-1]} samples, the window {len(window)}")
        if self._total is None:
            self._total = np.zeros((*chunk.shape[:-1], 0), np.float32)
        at = start - self.done
        if not 0 <= at <= len(self._weights):
            known = f"{self.done} to {self.done + len(self._weights)}"
            raise ValueError(f"a chunk begins at {start}; wanted one that begins within {known}")
        missing = at + len(window) - len(self._weights)
        if missing > 0:
            self._total = np.pad(self._total, ((0, 0), (0, 0), (0, missing)))
            self._weights = np.pad(self._weights, (0, missing))
        here = slice(at, at + len(window))
        self._total[..., here] += chunk * window
        self._weights[here] += window

    def take(self, until: int) -> np.ndarray | None:
        """Return the finished samples before position `until`; None if there are none."""
        count = until - self.done
        if self._total is None or count <= 0:
            return None
        if count > len(self._weights):
            known = self.done + len(self._weights)
            raise ValueError(f"samples are wanted up to {until}; chunks reach {known}")
        weights = self._weights[:count]
        finished = self._total[..., :count] / np.where(weights > 0, weights, 1)
        self._total = self._total[..., count:].copy()
        self._weights = self._weights[count:].copy()
        self.done = until
        return finished
