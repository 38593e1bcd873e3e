"""The Wiener filter on a whole sliCQ at once, as the last stage of a network."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from xumx_jax.postfilters.band_frames import BandFrames
from xumx_jax.postfilters.wiener import wiener

EPSILON_32 = float(np.finfo(np.float32).eps)  # norbert's, in single precision
ORIGINAL_VALUES = 5000  # of each band in a window of xumx-sliCQ-V2


def filter_blocks(
    estimate: Array,
    mix: Array,
    shapes: tuple[tuple[int, int], ...],
    niter: int = 1,
    *,
    window: int | None = None,
    values: int | None = None,
    together: bool = False,
    epsilon: float = EPSILON_32,
    **options,
) -> Array:
    """Filter estimates [batch, source, channel, slice, coefficient], and mixtures without sources.

    Returns complex64 spectra shaped like the estimates, magnitudes or spectra. Bands of all blocks
    are filtered in one loop over the coefficients, each with its own statistics: `shapes` are those
    of the transform, and windows, by default one of all slices, are those of `BandFrames`, where
    `window`, `values` and `together` are explained. The defaults are those of xumx-sliCQ-V2 but for
    its windows, `values` ORIGINAL_VALUES. The scaling is that of the loudest value of the batch,
    that is of a device's part of it. `options` are those of `wiener`.
    """
    estimate, mix = jnp.asarray(estimate), jnp.asarray(mix)
    over = BandFrames(shapes, mix.shape[-2], window, values, together)
    one = partial(
        wiener, niter=niter, epsilon=epsilon, loudest=over.loudest(mix), over=over, **options
    )
    return jax.vmap(one)(estimate, mix)
