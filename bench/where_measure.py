"""What `bench/where.py` measures: which estimate gets a part's energy, and phantom levels."""

import numpy as np

N_FFT, HOP = 4096, 1024
OWN = 0.7  # share of a bin's energy from which on it counts as the part's


def spectra(waves: np.ndarray) -> np.ndarray:
    """Transform [..., time] -> complex [..., frame, bin], with Hann windows."""
    count = max(1, -(-waves.shape[-1] // HOP) + N_FFT // HOP - 1)
    short = (count - 1) * HOP + N_FFT - waves.shape[-1]
    edges = [(0, 0)] * (waves.ndim - 1) + [(N_FFT - HOP, max(0, short - N_FFT + HOP))]
    padded = np.pad(waves.astype(np.float32, copy=False), edges)
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT, -1)[..., ::HOP, :]
    return np.fft.rfft(frames * np.hanning(N_FFT + 1)[:-1].astype(np.float32))


class NoBins(ValueError):
    """A part is nowhere louder than the rest, so nothing can be said of it."""


def shares(
    part: np.ndarray,
    rest: np.ndarray,
    estimates: np.ndarray,
    rate: int,
    band_hz: tuple[float, float] = (0.0, np.inf),
) -> tuple[np.ndarray, float]:
    """Where a part [channel, time] of a mixture goes -> (percent of each estimate, percent kept).

    Counted are the bins within `band_hz` in which the part has at least `OWN` of the energies of
    part and `rest`. There, the energies of all estimates [source, channel, time] are 100 percent
    together. What is kept is the projection of the estimates' sum onto the part: 100 if they sum to
    it, less if a model leaves it out of all of them. Raises NoBins if none counts.
    """
    own, other = spectra(part), spectra(rest)
    power = np.square(np.abs(own)).sum(0)
    total = power + np.square(np.abs(other)).sum(0)
    hz = np.fft.rfftfreq(N_FFT, 1 / rate)
    counts = (power >= OWN * total) & (power > 0) & (hz >= band_hz[0]) & (hz < band_hz[1])
    if not counts.any():
        raise NoBins(f"the part has {OWN:.0%} of no bin of {band_hz[0]:g} to {band_hz[1]:g} Hz")
    energies, along = [], 0.0
    for estimate in estimates:
        found = spectra(estimate)
        energies.append((np.square(np.abs(found)).sum(0) * counts).sum(dtype=float))
        along += ((found * own.conj()).real.sum(0) * counts).sum(dtype=float)
    whole = float((power * counts).sum(dtype=float))
    percent = 100 * np.array(energies) / max(sum(energies), np.finfo(float).tiny)
    return percent, 100 * along / whole


def level_db(wave: np.ndarray, mix: np.ndarray) -> float:
    """The energy of a wave [channel, time] over that of the mixture, in dB; silence is -120."""
    energies = [np.square(each.astype(float)).sum() for each in (wave, mix)]
    return float(10 * np.log10(max(energies[0] / energies[1], 1e-12)))
