"""The level of a stream, over which a model with bands hears it; see `transforms.bands`."""

import jax
import numpy as np

from xumx_jax.separation import blocks
from xumx_jax.transforms.bands import level_of

BLOCK_FRAMES = 240

_measure = jax.jit(lambda *arguments: blocks.pool_bands(*arguments)[1], static_argnums=0)


class Level:
    """Sums over all frames that were seen; each is counted once."""

    def __init__(self):
        self.squared = self.plain = 0.0
        self.seen = 0  # frames, from the first on

    def note(self, first: int, count: int, sums) -> None:
        """Count frames `first` to `first + count`, unless they were, with their `loudness`."""
        if first >= self.seen:
            squared, plain = (float(value[0]) for value in sums)
            self.squared, self.plain = self.squared + squared, self.plain + plain
            self.seen = first + count

    def now(self) -> np.float32:
        return np.float32(level_of(self.squared, self.plain))

    def hear(self, module, feed, until: int) -> None:
        """Count the frames that lie wholly in the samples before position `until` of a feed."""
        hop, n_fft = module.transform.hop, module.transform.n_fft
        span = (BLOCK_FRAMES - 1) * hop + n_fft
        while (frames := (until - self.seen * hop - n_fft) // hop + 1) > 0:
            frames = min(frames, BLOCK_FRAMES)
            start = self.seen * hop
            wave = feed.cut(start, min(start + span, until))
            wave = np.pad(wave, ((0, 0), (0, span - wave.shape[1])))
            self.note(self.seen, frames, _measure(module, wave, frames))
