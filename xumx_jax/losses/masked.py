"""Losses that leave out what a batch has of the worst: it may not be what its label says."""

import jax.numpy as jnp
from jax import Array, lax

from xumx_jax.stems import Stems


def masked_mse(est: Stems, ref: Stems, mix: Array, *, q: float, coarse: bool):
    """Mean square error of waveforms of which the largest count as 0, for each source on its own.

    q       the quantile of errors from which on they do not count
    coarse  errors are means over an item's channels and samples, else those of samples

    ZFTurbo's training; the batch is a device's part of it. A longer truth is cut.
    """
    error = jnp.square(est.wave - ref.wave[..., : est.wave.shape[-1]]).swapaxes(0, 1)
    if coarse:
        error = error.mean((-1, -2))
    error = error.reshape(len(error), -1)  # [source, item]
    limit = jnp.quantile(lax.stop_gradient(error), q, axis=1, keepdims=True)
    counted = (error < limit) if error.shape[1] > 1 else jnp.ones_like(error, bool)
    value = jnp.where(counted, error, 0).mean()
    return value, {"mse": value}
