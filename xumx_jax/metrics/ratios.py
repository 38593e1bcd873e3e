"""Ratios of energies: measures that need no filters."""

import operator
from functools import partial, reduce

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from xumx_jax.metrics.framing import Frames, any_silent, check_waves, in_threads, pad, read

QUIET = 1e-7  # added to energies, so that silence and perfection stay finite
BLOCK_SAMPLES = 1 << 18


def energy_ratio(estimate: Array, reference: Array) -> Array:
    """Compare waveforms [..., channel, time] as a whole, in dB, [...].

    10 log10(sum s^2 / sum (s - e)^2) over all channels and samples: uSDR, or nSDR, the SDR of the
    2021 Music Demixing Challenge (Mitsufuji et al. 2022), and the global SDR of the Sound Demixing
    Challenge 2023. 1e-7 is added to both sums.
    """
    return _decibels(jnp.square(reference), jnp.square(reference - estimate))


def si_sdr(estimate: Array, reference: Array) -> Array:
    """Compare waveforms [..., channel, time] up to the estimate's gain, in dB, [...].

    The reference is scaled to come as near to the estimate as it can, all channels alike; means
    are not removed. J. Le Roux et al., "SDR - half-baked or well done?", ICASSP 2019, eq. 3.
    """
    shared = (estimate * reference).sum((-2, -1), keepdims=True)
    energy = jnp.square(reference).sum((-2, -1), keepdims=True)
    target = reference * shared / (energy + QUIET)
    return _decibels(jnp.square(target), jnp.square(target - estimate))


def _decibels(signal, error):
    signal, error = signal.sum((-2, -1)), error.sum((-2, -1))
    return 10 * jnp.log10((signal + QUIET) / (error + QUIET))


def sdr_frames(
    references,
    estimates,
    rate: int,
    *,
    window_seconds: float = 1.0,
    hop_seconds: float = 1.0,
) -> np.ndarray:
    """Compute only the SDR of BSSEval version 4, in dB, float64 [source, frame].

    10 log10(sum s^2 / sum (s - e)^2) over the channels and samples of a frame: the distortion
    filters only divide the error into spatial, interference and artefact parts, whose sum is the
    error again. Waves and frames are those of `bss_eval`, but no samples are refused: a source that
    is silent throughout, or NaN, gives NaN in its frames.

    E. Vincent et al., "First stereo audio source separation evaluation campaign", ICA 2007, eq. 8.
    """
    check_waves(references, estimates)
    frames = Frames(references, estimates, rate, window_seconds, hop_seconds, BLOCK_SAMPLES)
    return frames.map(_frame_sdr, double=True).T


@partial(jax.jit, static_argnames="framing")
def _frame_sdr(references, estimates, framing):
    # [source, channel, time] -> [frame, source]
    def sdr(reference, estimate):
        reference, estimate = reference.astype(jnp.float64), estimate.astype(jnp.float64)
        signal = jnp.square(reference).sum((1, 2))
        error = jnp.square(reference - estimate).sum((1, 2))
        ratio = 10 * jnp.log10(signal / error)
        return jnp.where(any_silent(reference, estimate), jnp.nan, ratio)

    # one by one, so that the frames are not copied
    return jnp.stack(list(map(sdr, framing.cut(references), framing.cut(estimates))))


def whole_track(references, estimates) -> dict[str, np.ndarray]:
    """Score whole tracks [source, channel, time] -> {"uSDR", "SI-SDR"}, dB, float64 [source].

    `energy_ratio` and `si_sdr` in double precision, read in blocks as by `bss_eval`.
    """
    _, _, length = check_waves(references, estimates)

    def blocks():
        for start in range(0, length, BLOCK_SAMPLES):
            parts = (read(w, start, start + BLOCK_SAMPLES) for w in (references, estimates))
            yield tuple(pad(part, BLOCK_SAMPLES) for part in parts)

    parts = in_threads(_energies, blocks(), double=True)
    signal, error, shared, estimate = reduce(operator.add, parts).T
    gain = shared / (signal + QUIET)
    target = gain**2 * signal
    rest = np.maximum(estimate - 2 * gain * shared + target, 0)
    ratios = {"uSDR": (signal, error), "SI-SDR": (target, rest)}
    return {name: 10 * np.log10((a + QUIET) / (b + QUIET)) for name, (a, b) in ratios.items()}


@jax.jit
def _energies(references, estimates):
    # [source, channel, time] -> [source, energy]
    references, estimates = references.astype(jnp.float64), estimates.astype(jnp.float64)
    total = partial(jnp.sum, axis=(1, 2))
    return jnp.stack(
        [
            total(jnp.square(references)),
            total(jnp.square(references - estimates)),
            total(references * estimates),
            total(jnp.square(estimates)),
        ],
        axis=1,
    )
