"""Statistics of a whole track by which a model's input is normalised; engines measure them.

A track may be longer than memory: the statistics are those of the track so far and the next
AHEAD_SECONDS, which for nearly every song is all of it.
"""

from collections.abc import Iterator
from importlib import import_module

import jax.numpy as jnp
import numpy as np
from jax import Array

from xumx_jax.layers.standardize import deviation
from xumx_jax.separation.engine import AHEAD_SECONDS

PIECE = 1 << 19  # samples that are measured at once: minutes of them would be in memory twice


def read_on(buffer, stop: int, known: int) -> Iterator[np.ndarray]:
    """Read a StreamBuffer up to `stop`, and yield what it has from `known` on, piece by piece."""
    buffer.reach(stop)
    for start in range(known, buffer.end, PIECE):
        yield buffer.cut(start, min(start + PIECE, buffer.end))


class MeanAndDeviation:
    """Mean and deviation of the mono mixture, [2]: Demucs and its successors normalise by them.

    The deviation is the sample deviation (over count - 1), as in PyTorch's `std`.
    """

    # Whatever the chunks: the original measures these on the track and then cuts it.
    of_chunks = False
    less = 1  # taken from the number of samples

    def __init__(self, model, lead: int = 0):
        self.ahead = round(AHEAD_SECONDS * model.sample_rate)
        self.lead = lead  # samples of silence before the track
        self.count, self.mean, self.spread = 0, 0.0, 0.0

    @property
    def silence(self) -> float:
        """The sample that the network gets as 0."""
        return self.mean

    def measure(self, buffer, at: int) -> np.ndarray:
        """Read a StreamBuffer as far as AHEAD_SECONDS behind sample `at` -> mean and deviation."""
        for piece in read_on(buffer, at + self.ahead, self.lead + self.count):
            wave = piece.mean(0, dtype=np.float64)
            # join two sets of samples: Chan, Golub and LeVeque 1979
            total, delta = self.count + len(wave), wave.mean() - self.mean
            self.spread += wave.var() * len(wave) + delta**2 * self.count * len(wave) / total
            self.mean += delta * len(wave) / total
            self.count = total
        spread = (self.spread / max(1, self.count - self.less)) ** 0.5
        return np.array([self.mean, spread], np.float32)

    @staticmethod
    def of_track(mix: Array) -> Array:
        """Those of a chunk [channel, time] that is a track by itself -> [2], while JAX traces."""
        mono = mix.mean(0)
        mean = mono.mean(keepdims=True)
        return jnp.concatenate([mean, deviation(mono, (0,), mean)])

    @staticmethod
    def turned(statistics: Array) -> Array:
        """Those of the track with its sign turned."""
        return statistics * jnp.array([-1, 1])


class MeanAndPopulationDeviation(MeanAndDeviation):
    """The same with the deviation over all samples, as NumPy's `std`: ZFTurbo's `normalize`."""

    less = 0

    @staticmethod
    def of_track(mix: Array) -> Array:
        """As in `MeanAndDeviation`."""
        mono = mix.mean(0)
        return jnp.stack([mono.mean(), jnp.sqrt(jnp.square(mono - mono.mean()).mean())])


class Peak:
    """The largest absolute sample, []: UVR's MDX-Net gets no track with a larger one than 0.9."""

    of_chunks, silence = False, 0.0

    def __init__(self, model, lead: int = 0):
        self.ahead = round(AHEAD_SECONDS * model.sample_rate)
        self.known, self.peak = 0, 0.0

    def measure(self, buffer, at: int) -> np.float32:
        """Read a StreamBuffer as far as AHEAD_SECONDS behind sample `at` -> the peak so far."""
        for piece in read_on(buffer, at + self.ahead, self.known):
            self.peak = max(self.peak, float(np.abs(piece).max()))
            self.known += piece.shape[1]
        return np.float32(self.peak)

    @staticmethod
    def of_track(mix: Array) -> Array:
        """That of a chunk [channel, time] that is a track by itself."""
        return jnp.abs(mix).max()

    @staticmethod
    def turned(statistics: Array) -> Array:
        """That of the track with its sign turned."""
        return statistics


# {name: (module, class)}; the class is made from (model, samples of silence before the track) and
# has measure(buffer, at) -> array for `__call__`'s `statistics`, and `silence`, the sample that the
# network then gets as 0. With `of_chunks`, chunks without overlap have their own instead, which
# the model takes itself; without it the class has `of_track(mix)`, for chunks that are exported.
# `turned(statistics)` are those of the track with its sign turned.
NORMALIZATIONS = {
    "mean and deviation": ("xumx_jax.separation.normalization", "MeanAndDeviation"),
    "mean and population deviation": (
        "xumx_jax.separation.normalization",
        "MeanAndPopulationDeviation",
    ),
    "peak": ("xumx_jax.separation.normalization", "Peak"),
    "band level": ("xumx_jax.separation.umx.offline", "BandLevel"),
}


def normalization(name: str):
    """The class of a key of NORMALIZATIONS, imported when first used."""
    module, kind = NORMALIZATIONS[name]
    return getattr(import_module(module), kind)
