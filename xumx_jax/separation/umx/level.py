"""The level of a stream, over which a model with bands hears it; see `transforms.bands`."""

import jax
import numpy as np

from xumx_jax.separation.umx import kernels
from xumx_jax.transforms.bands import level_of

AHEAD_SECONDS = 300.0  # how far is listened before anything is separated

_loudness = jax.jit(kernels.band_loudness, static_argnums=0)


class Level:
    """What `level_of` needs, of all frames that were heard."""

    def __init__(self, module):
        self.module, self.heard = module, 0
        self.squared = self.plain = 0.0

    def hear(self, feed, at: int) -> np.float32:
        """Listen to a feed as far as AHEAD_SECONDS behind sample `at` -> the level until there."""
        transform = self.module.transform
        feed.reach(at + round(AHEAD_SECONDS * self.module.sample_rate))
        known = feed.complete(transform)
        span = (kernels.FRAMES - 1) * transform.hop + transform.n_fft
        while self.heard < known:
            last = min(self.heard + kernels.FRAMES, known)
            wave = kernels.filled(feed.frames(transform, self.heard, last), span)
            squared, plain = _loudness(self.module, wave, last - self.heard)
            self.squared, self.plain = self.squared + float(squared), self.plain + float(plain)
            self.heard = last
        return np.float32(level_of(self.squared, self.plain))
