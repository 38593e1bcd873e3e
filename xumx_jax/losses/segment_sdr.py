"""A loss of masks: the SDR of short segments, from energies of bands."""

import jax.numpy as jnp
import numpy as np
from jax import Array

from xumx_jax.losses import blocks
from xumx_jax.stems import Stems
from xumx_jax.transforms.bands import pool


def segment_sdr(est: Stems, ref: Stems, mix: Array, *, bands: tuple, frames: int, share, floor):
    """Minus the SDR in dB over segments of `frames` frames, mean over segments, sources and batch.

    For masks, on energies pooled into the mask's own bands: with s, x the energies of source and
    mixture and c their correlation in a band, the mask m leaves the error s - 2 m c + m^2 x. Source
    and error both get `share` of the segment's mixture energy added, so that very quiet sources
    count little, and `floor`, so that silence counts nothing. The mixture is assumed to be the sum
    of the sources. With several blocks, `bands` holds the edges for each, and the result is their
    mean. In those of a sliCQ, [batch, source, channel, bin, slice, coefficient], slices and
    coefficients count as frames.
    """
    edges = bands if isinstance(bands[0], tuple | list) else (bands,) * len(est.mask)
    masks, truths = ([x.reshape(*x.shape[:4], -1) for x in each] for each in (est.mask, ref.spec))
    groups = zip(masks, truths, edges, strict=True)
    sdr = [of_block(*group, frames, share, floor) for group in groups]
    value = -blocks.mean([each.mean() for each in sdr])
    return value, {"sdr": blocks.mean([each.mean((0, 2)) for each in sdr])}


def of_block(mask, truth, bands, frames, share, floor) -> Array:
    """SDR in dB [batch, source, segment] of one block."""
    total = truth.sum(1, keepdims=True)
    product = (truth * total.conj()).real
    source = jnp.square(truth.real) + jnp.square(truth.imag)
    energy = jnp.square(total.real) + jnp.square(total.imag)
    widths = np.diff(bands)[:, None].astype(np.float32)
    s, c, x = (
        pool(e.swapaxes(-1, -2), bands).swapaxes(-1, -2) * widths for e in (source, product, energy)
    )
    error = s - 2 * mask * c + jnp.square(mask) * x

    def per_segment(e):  # [batch, source, channel, band, frame] -> [batch, source, segment]
        count = max(e.shape[-1] // frames, 1)
        e = e.sum((2, 3))[..., : count * frames]
        return e.reshape(*e.shape[:-1], count, -1).sum(-1)

    s, e, x = per_segment(s), per_segment(error), per_segment(x)
    even = share * x + floor
    return 10 * jnp.log10((s + even) / (jnp.maximum(e, 0) + even))
