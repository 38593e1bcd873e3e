"""Resampling by windowed sincs with the kernels of torchaudio and julius, as parts of networks.

Both interpolate band-limited, Smith's method ("Digital audio resampling", ccrma.stanford.edu/~jos/
resample): every output sample is a sum of the inputs around it, weighted by a sinc under half a
period of a squared cosine. They differ in width, cut-off, gain and edges, and networks were trained
with one of them. To resample audio files there is `xumx_jax.audio.resample`, which is better.
"""

from math import ceil, gcd

import jax.numpy as jnp
import numpy as np
from jax import Array

from xumx_jax.layers.dense import PRECISION


def torchaudio_resample(x: Array, old: int, new: int) -> Array:
    """Resample [..., time] from rate `old` to `new`: [..., ceil(time * new / old)].

    As torchaudio's Resample does by default: 6 zeros on each side, silence beyond the edges.
    """
    old, new = reduced(old, new)
    return apply(x, torchaudio_kernel(old, new), old, -(-x.shape[-1] * new // old), "constant")


def julius_resample(x: Array, old: int, new: int) -> Array:
    """Resample [..., time] from rate `old` to `new`: [..., floor(time * new / old)].

    As `julius.resample_frac` does by default: 24 zeros on each side, the first and last sample go
    on beyond the edges.
    """
    old, new = reduced(old, new)
    return apply(x, julius_kernel(old, new), old, x.shape[-1] * new // old, "edge")


def torchaudio_kernel(old: int, new: int) -> np.ndarray:
    """Weights [new, tap] of `torchaudio_resample`, for rates without a common divisor."""
    return windowed_sinc(old, new, zeros=6, rolloff=0.99) * (0.99 * min(old, new) / old)


def julius_kernel(old: int, new: int) -> np.ndarray:
    """Weights [new, tap] of `julius_resample`, for rates without a common divisor."""
    kernel = windowed_sinc(old, new, zeros=24, rolloff=0.945)
    return kernel / kernel.sum(-1, keepdims=True)


def reduced(old: int, new: int) -> tuple[int, int]:
    """Divide two rates by their greatest common divisor."""
    divisor = gcd(old, new)
    return old // divisor, new // divisor


def windowed_sinc(old: int, new: int, zeros: int, rolloff: float) -> np.ndarray:
    """Sincs around each of the `new` output samples that fall on `old` input samples, [new, tap].

    The taps are the inputs from `half_width` before the first of the `old` on. The cut-off is
    `rolloff` times the lower of both Nyquist frequencies; `zeros` is the window's half width in
    zeros of the sinc. In float64.
    """
    cutoff = rolloff * min(old, new)
    width = ceil(zeros * old / cutoff)
    inputs = np.arange(-width, width + old) / old
    t = (inputs - np.arange(new)[:, None] / new) * cutoff
    t = np.clip(t, -zeros, zeros)
    return np.sinc(t) * np.cos(np.pi / 2 * t / zeros) ** 2


def apply(x: Array, kernel: np.ndarray, old: int, length: int, edge: str) -> Array:
    """Apply `kernel` [new, tap] every `old` samples of [..., time]: [..., length].

    `edge` is how `jnp.pad` goes on beyond both ends. Two samples of one channel do not fill a
    convolution: one product of whole blocks, each at least as long as the kernel so that an output
    depends on two of them, is three to ten times as fast on a CPU.
    """
    new, taps = kernel.shape
    if old == new:
        return x
    steps = -(-taps // old)
    block, made = steps * old, steps * new
    matrix = np.zeros((2 * block, made), np.float32)
    for step in range(steps):
        start = step * old
        matrix[start : start + taps, step * new : (step + 1) * new] = kernel.T
    # side by side: what a block adds to its own outputs, and to those of the block before it
    both = np.concatenate([matrix[:block], matrix[block:]], axis=1)

    before, blocks = (taps - old) // 2, -(-length // made) + 1
    after = max(0, blocks * block - before - x.shape[-1])
    x = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(before, after)], mode=edge)
    rows = x[..., : blocks * block].reshape(-1, block)
    y = jnp.matmul(rows, both, precision=PRECISION)
    y = y.reshape(*x.shape[:-1], blocks, 2 * made)
    y = y[..., :-1, :made] + y[..., 1:, made:]
    return y.reshape(*x.shape[:-1], -1)[..., :length]
