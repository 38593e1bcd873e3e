"""How good a separation is, in dB.

`energy_ratio` is jax, for use inside compiled functions; the rest is numpy, for scoring finished
waveforms.
"""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jax import Array

QUIET = 1e-7  # added to energies, so that silence and perfection stay finite


def energy_ratio(estimate: Array, reference: Array) -> Array:
    """Compare waveforms [..., channel, time] as a whole, in dB, [...].

    10 log10(sum s^2 / sum (s - e)^2) over all channels and samples: the SDR of the 2021 Music
    Demixing Challenge (Mitsufuji et al. 2022) and AIMLESS's global SDR.
    """
    signal = jnp.square(reference).sum((-2, -1))
    error = jnp.square(reference - estimate).sum((-2, -1))
    return 10 * jnp.log10((signal + QUIET) / (error + QUIET))


def framewise_sdr(
    estimate: np.ndarray,
    reference: np.ndarray,
    rate: int,
    window_seconds: float = 1.0,
    hop_seconds: float = 1.0,
) -> np.ndarray:
    """Compare waveforms [..., channel, time] frame by frame, in dB, [..., frame].

    10 log10(sum s^2 / sum (s - e)^2) over the channels and samples of each whole window; a signal
    shorter than one window is one frame. This is the SDR of BSSEval v4 (`museval`, its "images"
    version): the distortion filters only divide the error into spatial, interference and artefact
    parts, whose sum is the error again. A silent estimate has 0 dB, a perfect one infinity, and a
    frame with a silent reference has none: NaN.

    E. Vincent et al., "First stereo audio source separation evaluation campaign", ICA 2007, eq. 8;
    F.-R. Stoeter et al., "The 2018 signal separation evaluation campaign", LVA/ICA 2018.
    """
    estimate, reference = np.asarray(estimate), np.asarray(reference)
    if estimate.shape != reference.shape:
        raise ValueError(f"estimate {estimate.shape} and reference {reference.shape} differ")
    window, hop = int(window_seconds * rate), int(hop_seconds * rate)
    truth = reference.astype(np.float64)
    signal = _frame_energy(truth, window, hop)
    error = _frame_energy(truth - estimate, window, hop)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(signal > 0, 10 * np.log10(signal / error), np.nan)


def score(
    estimates: Mapping[str, np.ndarray], references: Mapping[str, np.ndarray], rate: int
) -> dict[str, float]:
    """Median SDR over the 1 s frames of each source's [channel, time], in dB.

    Frames in which the source itself is silent do not count (museval leaves out those in which any
    source is). A source that is silent throughout scores NaN.
    """
    medians = {}
    for source, reference in references.items():
        frames = framewise_sdr(estimates[source], reference, rate)
        frames = frames[~np.isnan(frames)]
        medians[source] = float(np.median(frames)) if frames.size else float("nan")
    return medians


def _frame_energy(wave: np.ndarray, window: int, hop: int) -> np.ndarray:
    # [..., channel, time] -> [..., time] -> [..., frame]
    energy = np.sum(wave**2, axis=-2)
    if energy.shape[-1] <= window:
        return energy.sum(-1, keepdims=True)
    frames = np.lib.stride_tricks.sliding_window_view(energy, window, axis=-1)
    return frames[..., ::hop, :].sum(-1)
