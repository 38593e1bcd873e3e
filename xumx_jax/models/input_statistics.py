"""Input statistics of models whose encoder reads magnitudes of an STFT."""

from collections.abc import Iterable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

FRAMES = 512  # a piece: any track length compiles once


class StftStatistics:
    """`models.interface.InputStatistics` of a UMX: one block of features, the same for all sources.

    Channels are averaged first, as in the originals.
    """

    def __init__(self, model):
        self.model, self.transform = model, model.transform
        names = ("n_fft", "hop", "sample_rate", "bandwidth_hz", "max_bin", "power", "bands")
        self.key = {name: getattr(model, name) for name in names}
        self.features = jax.jit(self._features)

    def pieces(self, mix: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
        """Cut a mix [channel, time] into pieces of FRAMES frames -> (piece, frames of the mix).

        Together they are the frames of the whole mix's transform.
        """
        stft = self.transform
        half = stft.n_fft // 2
        mode = "reflect" if mix.shape[-1] else "constant"
        padded = np.pad(mix, [(0, 0), (half, half)], mode=mode)
        samples = (FRAMES - 1) * stft.hop + stft.n_fft
        frames = stft.frames(mix.shape[-1])
        for first in range(0, frames, FRAMES):
            piece = padded[:, first * stft.hop :][:, :samples]
            missing = samples - piece.shape[-1]
            yield np.pad(piece, [(0, 0), (0, missing)]), min(FRAMES, frames - first)

    def _features(self, piece: Array) -> tuple[Array]:
        frames = self.transform.cut(piece, FRAMES) * self.transform.window(piece.dtype)
        magnitudes = jnp.abs(jnp.fft.rfft(frames, axis=-1))
        return (self.model.apply({}, magnitudes[None], method="features")[0].mean(0),)

    def fill(self, params: dict, moments: Iterable[tuple[np.ndarray, np.ndarray]]) -> dict:
        """Minus the mean and one over the deviation, for every source."""
        ((mean, deviation),) = moments
        enc = params["enc"]
        filled = {
            "mean": jnp.broadcast_to(jnp.asarray(-mean, jnp.float32), enc["mean"].shape),
            "scale": jnp.broadcast_to(jnp.asarray(1 / deviation, jnp.float32), enc["scale"].shape),
        }
        return params | {"enc": enc | filled}
