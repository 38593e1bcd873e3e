"""A loss of masks: the SDR of short segments, from energies of bands."""

import jax.numpy as jnp
import numpy as np
from jax import Array

from xumx_jax.losses import blocks
from xumx_jax.stems import Stems
from xumx_jax.transforms.bands import pool


def segment_sdr(
    est: Stems, ref: Stems, mix: Array, *, bands: tuple, frames: int, share, floor, silent
):
    """Minus the SDR in dB over segments of `frames` frames, mean over segments, sources and batch.

    For masks, on energies pooled into the mask's own bands: with s, x the energies of source and
    mixture and c their correlation in a band, the mask m leaves the error s - 2 m c + m^2 x. Source
    and error both get `share` of the segment's mixture energy added, so that very quiet sources
    count little, and `floor`, so that silence counts nothing. The mixture is assumed to be the sum
    of the sources. With several blocks, `bands` holds the edges for each, and the result is their
    mean. In those of a sliCQ, [batch, source, channel, bin, slice, coefficient], slices and
    coefficients count as frames.

    `silent` is the weight of a segment in which a source is silent, beside 1 where it is loud: the
    share of the source in what its energy and the two additions are together goes from one to the
    other. With 1, a source that is silent most of the time is learned as silence.
    """
    edges = bands if isinstance(bands[0], tuple | list) else (bands,) * len(est.mask)
    masks, truths = ([x.reshape(*x.shape[:4], -1) for x in each] for each in (est.mask, ref.spec))
    groups = zip(masks, truths, edges, strict=True)
    found = [of_block(*group, frames, share, floor) for group in groups]
    sdr = [each for each, _ in found]
    value = -blocks.mean([((silent + (1 - silent) * heard) * each).mean() for each, heard in found])
    return value, {"sdr": blocks.mean([each.mean((0, 2)) for each in sdr])}


def of_block(mask, truth, bands, frames, share, floor) -> tuple[Array, Array]:
    """SDR in dB, and 0 (silent) to 1 (loud), both [batch, source, segment], of one block."""
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
    return 10 * jnp.log10((s + even) / (jnp.maximum(e, 0) + even)), s / (s + even)
