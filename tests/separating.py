"""Small tracks, and what the tests of `xumx separate` say of them."""

import numpy as np
import soundfile

from xumx_jax.separation import record

RATE = 8000
ARGUMENTS = dict(hidden_size=8, n_fft=128, hop=32, sample_rate=RATE, bandwidth_hz=3000.0)
SOURCES = ["bass", "drums", "other", "vocals"]


def noise(time=3000, channels=2):
    """Noise [channel, time], the same for the same length."""
    rng = np.random.default_rng(time)
    return rng.uniform(-0.5, 0.5, (channels, time)).astype(np.float32)


def write(name, wave, rate=RATE):
    """Write [channel, time] as floats."""
    soundfile.write(name, wave.T, rate, "FLOAT")


def stems_in(folder):
    """The files below a folder, except the records of what stems are of."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != record.FILE)
    return sorted(str(path.relative_to(folder)) for path in found)
