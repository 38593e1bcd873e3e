"""An equaliser: a low shelf, peaks and a high shelf, set at random."""

import numpy as np
from scipy.signal import sosfilt

from pipelines import biquads
from pipelines.mixing.ranges import check_range, drawn, is_used
from xumx_jax.errors import UserError

MOST = 8  # bands between the shelves
NAMES = ("low", *(f"band{number + 1}" for number in range(MOST)), "high")
ROWS = ("use", *(f"{name}_{what}" for name in NAMES for what in ("hz", "q", "gain_db")))
TOGETHER = False
changes = is_used
LEAST = 1e-30  # what digital silence is raised by, lest recursive filters fade into denormals


def draw(
    rows, probability: float = 1.0, bands: int = 3, gain_db=(-6.0, 6.0), q=(0.1, 4.0),
    hz=(1000.0, 10_000.0), low_hz=(20.0, 200.0), high_hz=(8000.0, 16_000.0),
) -> np.ndarray:  # fmt: skip
    """Draw the filters, low to high, [source, 1 + 3 * (2 + bands)]: corner in Hz, quality, dB.

    Before them is whether the equaliser is used. Corners are drawn uniformly in octaves, qualities
    and gains uniformly. The defaults are those of AIMLESS. Raises UserError on options that make no
    sense.
    """
    if not isinstance(bands, int) or not 0 <= bands <= MOST:
        raise UserError(f"bands is {bands}, wanted 0 to {MOST}")
    corners = {"low": low_hz, "high": high_hz}
    for name, limits in (("low_hz", low_hz), ("hz", hz), ("high_hz", high_hz)):
        check_range(name, limits, (1, 1_000_000))
    check_range("q", q, (0.01, 100))
    check_range("gain_db", gain_db)
    limits = {}
    for name in ("low", *NAMES[1 : 1 + bands], "high"):
        limits[f"{name}_hz"] = corners.get(name, hz)
        limits |= {f"{name}_q": q, f"{name}_gain_db": gain_db}
    in_octaves = [name for name in limits if name.endswith("_hz")]
    return drawn(rows, probability, in_octaves=in_octaves, **limits)


def apply(wave: np.ndarray, values: np.ndarray, rate: int, samples: int) -> np.ndarray:
    """Filter [channel, time] by all sections one after another, in float64 as AIMLESS does.

    Corners above 0.45 times the rate are there instead.
    """
    if not wave.any():
        return wave
    filters = values[1:].reshape(-1, 3)
    kinds = [biquads.low_shelf, *[biquads.peaking] * (len(filters) - 2), biquads.high_shelf]
    sections = np.stack(
        [
            kind(rate, min(hz, 0.45 * rate), q, gain_db)
            for kind, (hz, q, gain_db) in zip(kinds, filters, strict=True)
        ]
    )
    return sosfilt(sections, wave.astype(np.float64) + LEAST).astype(np.float32)
