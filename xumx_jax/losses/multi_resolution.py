"""The RoFormers' loss: differences of waveforms, and of their spectra at several resolutions."""

import jax.numpy as jnp
from jax import Array

from xumx_jax.losses.waveform import l1
from xumx_jax.stems import Stems
from xumx_jax.transforms.stft import Stft


def multi_resolution_l1(
    est: Stems, ref: Stems, mix: Array, *, windows, n_fft: int, hop: int, weight: float
):
    """`l1` plus `weight` times the mean size of complex differences of spectra, for each window.

    windows  lengths of the windows, in samples, each in the middle of `n_fft` samples or of as many
             as it has
    hop      of all of them

    That of lucidrains' and ZFTurbo's RoFormers. The estimate may be shorter than the truth, which
    is then cut.
    """
    in_time, parts = l1(est, ref, mix, combinations=False)
    difference = est.wave - ref.wave[..., : est.wave.shape[-1]]
    in_frequency = jnp.zeros(())
    for window in windows:
        size = max(window, n_fft)
        transform = Stft(size, hop, window_length=None if window == size else window)
        in_frequency += jnp.abs(transform.forward_frames(difference)).mean()
    return in_time + weight * in_frequency, parts | {"multi_stft": in_frequency}
