"""Play stems in other rooms or through other devices: convolve them with impulse responses."""

import jax.numpy as jnp
import numpy as np
from jax import Array

from xumx_jax.augment import selection


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
    size = fast_size(wave.shape[-1] + response.shape[-1] - 1)
    spectrum = jnp.fft.rfft(wave, size) * jnp.fft.rfft(response, size)
    return jnp.fft.irfft(spectrum, size)[..., : wave.shape[-1]]


def fast_size(least: int) -> int:
    """The smallest even number from `least` on without a prime factor above 5."""
    best = 2 ** max(1, (least - 1).bit_length())
    three = 1
    while three < best:
        odd = three
        while odd < best:
            # times the smallest power of two, at least 2, that reaches `least`
            best = min(best, odd * 2 ** max(1, (-(-least // odd) - 1).bit_length()))
            odd *= 5
        three *= 3
    return best
