"""Pooling of bins into bands, and the level-free log feature of small models."""

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

FLOOR = 0.01  # 40 dB under the level: what lies deeper is inaudible beside the rest
SILENT = 1e-12  # power; keeps silence finite


def pool(power: Array, edges: tuple[int, ...]) -> Array:
    """Average [..., bin] over bands, [..., band]; see `scales.band_edges` for the edges."""
    widths = np.diff(edges)
    single = int(np.argmax(widths > 1)) if np.any(widths > 1) else len(widths)
    narrow = power[..., edges[0] : edges[single]]
    if single == len(widths):
        return narrow
    wide = np.arange(edges[single], edges[-1])
    member = (wide[:, None] >= np.array(edges[single:-1])) & (wide[:, None] < np.array(edges[single + 1 :]))
    average = (member / widths[single:]).astype(np.float32)
    return jnp.concatenate(
        [
            narrow,
            jnp.matmul(power[..., edges[single] : edges[-1]], average, precision=lax.Precision.HIGHEST),
        ],
        axis=-1,
    )


def log_bands(magnitudes: Array, edges: tuple[int, ...]) -> Array:
    """Log band magnitude over the excerpt's level: [batch, channel, frame, bin] -> [..., band].

    The level is that of a frame picked in proportion to its energy, so silence around the music,
    padding included, leaves it as it is; the feature does not change with gain.
    """
    power = pool(jnp.square(magnitudes), edges)
    energy = power.mean((1, 3), keepdims=True)
    level = jnp.square(energy).sum(2, keepdims=True) / (energy.sum(2, keepdims=True) + SILENT)
    return jnp.log(jnp.sqrt(power / (level + SILENT) + SILENT) + FLOOR)
