"""Pooling of bins into bands, and the level-free log feature of small models."""

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from xumx_jax.transforms.scales import band_of_bin

FLOOR = 0.01  # 40 dB below the level: anything softer is inaudible beside the rest
GROUP = 16  # bands per matrix product
SILENT = 1e-12  # power; keeps silence finite


def pool(power: Array, edges: tuple[int, ...]) -> Array:
    """Average [..., bin] over bands, [..., band]; see `scales.band_edges` for the edges."""
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
