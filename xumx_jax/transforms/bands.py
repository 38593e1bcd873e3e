"""Bands of bins: their edges on frequency scales, pooling, and the level-free log feature."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array, lax


def bandwidth_to_max_bin(sample_rate: int, n_fft: int, bandwidth_hz: float) -> int:
    """The number of bins up to `bandwidth_hz`: 1487 for 16 kHz at 44.1 kHz and n_fft 4096."""
    hertz = np.linspace(0, sample_rate / 2, n_fft // 2 + 1)
    return int(np.count_nonzero(hertz <= bandwidth_hz))


def band_edges(
    sample_rate: int,
    n_fft: int,
    linear_hz: float = 1000.0,
    per_octave: int = 30,
    top_hz: float = 11000.0,
) -> tuple[int, ...]:
    """First bins of bands, one bin wide up to `linear_hz` and `per_octave` above, then the end.

    Band k covers bins edges[k] to edges[k + 1] - 1. The last edge is the first bin that no band
    covers. Doubling both `n_fft` and `sample_rate` does not change the edges.
    """
    width_hz = sample_rate / n_fft
    end = min(int(top_hz / width_hz), n_fft // 2) + 1
    edges = list(range(min(int(np.ceil(linear_hz / width_hz)), end) + 1))
    hertz = edges[-1] * width_hz
    while edges[-1] < end:
        hertz *= 2 ** (1 / per_octave)
        edges.append(min(max(round(hertz / width_hz), edges[-1] + 1), end))
    return tuple(edges)


# The split "V7" of the paper: bands of 100 Hz up to 1 kHz, of 250 Hz up to 4 kHz, of 500 Hz up to
# 8 kHz, of 1 kHz up to 16 kHz and of 2 kHz above; AIMLESS splits once more, at 22 kHz.
SPLIT_HZ = (
    *range(100, 1000, 100), *range(1000, 4000, 250), *range(4000, 8000, 500),
    *range(8000, 16000, 1000), *range(16000, 22001, 2000),
)  # fmt: skip


def split_edges(
    n_fft: int, split_hz: Sequence[float] = SPLIT_HZ, sample_rate: int = 44100
) -> tuple[int, ...]:
    """Edges of bands that are split at these frequencies: 0, the splits, the number of bins.

    Raises ValueError if a band would have no bin.
    """
    edges = (0, *(int(n_fft * hertz / sample_rate) for hertz in split_hz), n_fft // 2 + 1)
    check_edges(edges, n_fft // 2 + 1)
    return edges


def check_edges(edges: Sequence[int], bins: int) -> None:
    """Raise ValueError unless these are edges of bands that cover all bins."""
    rising = all(low < high for low, high in zip(edges, edges[1:], strict=False))
    if not rising or edges[0] != 0 or edges[-1] != bins:
        raise ValueError(f"edges of bands {edges}: wanted rising ones, from 0 to {bins} bins")


def band_of_bin(edges: tuple[int, ...], bins: int) -> np.ndarray:
    """The band of every bin, [bin]; bins above the last band belong to it."""
    inside = np.searchsorted(edges, np.arange(bins), side="right") - 1
    return np.minimum(inside, len(edges) - 2)


def mel_bands(sample_rate: int, n_fft: int, count: int) -> tuple[tuple[int, int], ...]:
    """Overlapping bands, equally wide in mel: (first bin, last bin + 1) of each.

    Those bins where the triangles of Slaney's mel filters are above 0 (Auditory Toolbox, 1998;
    librosa's default): linear up to 1 kHz and logarithmic above, and the lowest and the highest bin
    besides. Raises ValueError if a band would have none.
    """
    knee, step, per_log = 1000.0, 200 / 3, np.log(6.4) / 27

    def mel(hertz):
        high = knee / step + np.log(np.maximum(hertz, knee) / knee) / per_log
        return np.where(hertz < knee, hertz / step, high)

    def hertz(mel):
        return np.where(mel < knee / step, mel * step, knee * np.exp(per_log * (mel - knee / step)))

    edges = hertz(np.linspace(0, mel(sample_rate / 2), count + 2))
    bins = np.linspace(0, sample_rate / 2, n_fft // 2 + 1)
    inside = (edges[:-2, None] < bins) & (bins < edges[2:, None])
    inside[0, 0] = inside[-1, -1] = True
    if not inside.any(1).all():
        raise ValueError(f"{count} mel bands of {n_fft // 2 + 1} bins: wanted a bin in each")
    found = [np.flatnonzero(row) for row in inside]
    return tuple((int(row[0]), int(row[-1]) + 1) for row in found)


FLOOR = 0.01  # 40 dB below the level: anything softer is inaudible beside the rest
GROUP = 16  # bands per matrix product
SILENT = 1e-12  # power; keeps silence finite


def pool(power: Array, edges: tuple[int, ...]) -> Array:
    """Average [..., bin] over bands, [..., band]; see `band_edges`."""
    widths = np.diff(edges)
    single = int(np.argmax(widths > 1)) if np.any(widths > 1) else len(widths)
    pieces = [power[..., edges[0] : edges[single]]]
    # A few bands at a time: one product for all of them would multiply by zeros mostly.
    for first in range(single, len(widths), GROUP):
        part = np.array(edges[first : first + GROUP + 1])
        member = band_of_bin(tuple(part), part[-1])[part[0] :, None] == np.arange(len(part) - 1)
        average = (member / np.diff(part)).astype(np.float32)
        pieces.append(
            jnp.matmul(power[..., part[0] : part[-1]], average, precision=lax.Precision.HIGHEST)
        )
    return jnp.concatenate(pieces, axis=-1)


def log_bands(magnitudes: Array, edges: tuple[int, ...], level: Array | None = None) -> Array:
    """Log band magnitude over the excerpt's level: [batch, channel, frame, bin] -> [..., band].

    `level` is that of the track from which the excerpt was cut, if known. The feature does not
    change with gain.
    """
    power = pool(jnp.square(magnitudes), edges)
    if level is None:
        squared, plain = loudness(power.mean((1, 3), keepdims=True))
        level = jnp.asarray(level_of(squared, plain))
    return jnp.log(jnp.sqrt(power / (level + SILENT) + SILENT) + FLOOR)


def loudness(energy: Array) -> tuple[Array, Array]:
    """Sum squared and plain energies [..., frame, 1] -> [..., 1, 1] twice, for `level_of`.

    The sums of parts add up to those of the whole.
    """
    return jnp.square(energy).sum(-2, keepdims=True), energy.sum(-2, keepdims=True)


def level_of(squared, plain):
    """The mean energy of frames, weighted by their energies, from the sums of `loudness`.

    So silence around the music, padding included, does not change it.
    """
    return squared / (plain + SILENT)
