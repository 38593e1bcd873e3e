"""What happens to one source's excerpt between the file and the batch: numpy, [channel, time].

Cheap on purpose: the training shares its cores with this. Stereo in `[channel, time]` views of
interleaved memory costs the least, since the filter can then take both channels as one complex
signal.
"""

import numpy as np
import soxr
from scipy.signal import sosfilt

# On digital silence recursive filters fade into denormal numbers, which are slow; -240 dB is not.
FLOOR = np.float32(1e-12)


def input_samples(samples: int, ratio: float) -> int:
    """How much has to be read so that `resample` can return `samples`."""
    return samples if ratio == 1 else int(np.ceil(samples * ratio)) + 8


def resample(wave: np.ndarray, ratio: float, samples: int) -> np.ndarray:
    """Play [channel, time] `ratio` times as fast and as high, cut to `samples`.

    Cubic interpolation: it may fold a little of the top octave, which costs training nothing and
    takes half the time of np.interp.
    """
    if ratio == 1:
        return wave[:, :samples]
    return soxr.resample(wave.T, ratio, 1.0, quality="QQ")[:samples].T


def shelve(wave: np.ndarray, rate: int, shelves: np.ndarray) -> np.ndarray:
    """Filter [channel, time] by a low and a high shelf (first order each, one biquad together).

    `shelves` is low corner in Hz, gain in dB below it, high corner in Hz, gain in dB above it.
    """
    low_hz, low_db, high_hz, high_db = shelves
    if (low_db == 0 and high_db == 0) or not wave.any():
        return wave
    section = np.concatenate(shelf_section(rate, low_hz, low_db, high_hz, high_db))[None]
    frames = np.ascontiguousarray(wave.T, np.float32)
    if frames.shape[1] == 2:  # both channels in one pass
        packed = frames.view(np.complex64)[:, 0]
        filtered = sosfilt(section.astype(np.complex64), packed + FLOOR * np.complex64(1 + 1j))
        return filtered.view(np.float32).reshape(-1, 2).T
    return sosfilt(section.astype(np.float32), frames + FLOOR, axis=0).T


def shelf_section(rate, low_hz, low_db, high_hz, high_db):
    """Numerator and denominator, three taps each, of both shelves in series.

    Analogue prototypes (s + sqrt g) / (s + 1 / sqrt g) below and (s sqrt g + 1) / (s / sqrt g + 1)
    above the corner, through the bilinear transform; g is the gain at the far end.
    """
    # (a s + b) becomes (a + b t) + (b t - a) / z, with t the corner after frequency warping
    low_hz, high_hz = np.minimum((low_hz, high_hz), 0.45 * rate)
    t, root = np.tan(np.pi * low_hz / rate), 10 ** (low_db / 40)
    above, below = (1 + root * t, root * t - 1), (1 + t / root, t / root - 1)
    t, root = np.tan(np.pi * high_hz / rate), 10 ** (high_db / 40)
    numerator = np.convolve(above, (root + t, t - root))
    denominator = np.convolve(below, (1 / root + t, t - 1 / root))
    return numerator / denominator[0], denominator / denominator[0]
