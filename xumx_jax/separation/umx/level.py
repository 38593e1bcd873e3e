"""The level of a stream, by which a UMX with bands normalises its input; see `transforms.bands`."""

import jax
import numpy as np

from xumx_jax.separation.umx import kernels
from xumx_jax.transforms.bands import level_of

AHEAD_SECONDS = 300.0  # how far to read ahead before anything is separated

_loudness = jax.jit(kernels.band_loudness, static_argnums=0)


class BandLevel:
    """The sums that `level_of` needs, over all frames so far."""

    of_chunks = True

    def __init__(self, model):
        self.model, self.frames = model, 0
        self.squared = self.plain = 0.0

    def measure(self, buffer, at: int) -> np.float32:
        """Read a StreamBuffer to AHEAD_SECONDS past sample `at` -> its level."""
        transform = self.model.transform
        buffer.reach(at + round(AHEAD_SECONDS * self.model.sample_rate))
        known = buffer.complete(transform)
        span = (kernels.FRAMES - 1) * transform.hop + transform.n_fft
        while self.frames < known:
            last = min(self.frames + kernels.FRAMES, known)
            wave = kernels.filled(buffer.frames(transform, self.frames, last), span)
            squared, plain = _loudness(self.model, wave, last - self.frames)
            self.squared, self.plain = self.squared + float(squared), self.plain + float(plain)
            self.frames = last
        return np.float32(level_of(self.squared, self.plain))
