"""Play stems in other rooms or through other devices: convolve them with impulse responses."""

import jax.numpy as jnp
import numpy as np
from jax import Array

from xumx_jax.augment import selection
from xumx_jax.metrics.bsseval import fft_size


def impulse(stems: Array, key, responses: np.ndarray, *, probability: float = 0.2) -> Array:
    """Convolve each chosen stem with one of the impulse responses of a folder.

    AIMLESS's `RandomConvolutions` with `responses` [response, channel, tap]: causal, channel by
    channel, and neither the delay nor the level of a response is made good.
    """
    known = jnp.asarray(responses[..., : stems.shape[-1]])  # what comes later is never heard
    ways = selection.draw(key, stems.shape[0], probability, len(responses))
    return selection.changed(stems, ways, lambda stem, way: convolved(stem, known[way]))


def convolved(wave: Array, response: Array) -> Array:
    """The first samples of the convolution of [channel, time] with [channel, tap]: [channel, time].

    By FFT, long enough for what would come round to the beginning.
    """
    size = fft_size(wave.shape[-1] + response.shape[-1] - 1)
    spectrum = jnp.fft.rfft(wave, size) * jnp.fft.rfft(response, size)
    return jnp.fft.irfft(spectrum, size)[..., : wave.shape[-1]]
