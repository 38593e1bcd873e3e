"""The multichannel Wiener filter of AIMLESS (Sound Demixing Challenge 2023), also for training."""

from typing import TYPE_CHECKING

from jax import Array

from xumx_jax.postfilters.wiener import BLOCK_BINS, wiener

if TYPE_CHECKING:
    from xumx_jax.postfilters.band_frames import BandFrames


def mwf(
    estimate: Array,
    mix: Array,
    niter: int = 1,
    softmask: bool = False,
    alpha: float = 1.0,
    residual: bool = False,
    *,
    loudest: Array | None = None,
    bins_at_once: int | None = BLOCK_BINS,
    over: "BandFrames | None" = None,
) -> Array:
    """Filter estimates [source, channel, bin, frame] and mixture [channel, bin, frame] to spectra.

    `wiener` with two differences: a residual does not scale the other sources, and a single source
    is always weighed against what it leaves of the mixture, which is returned if `residual` asks
    for it. The options are explained there; the original's `loudest` is that of a whole batch.

    Its gradient is that of the original in double precision, except where the left channel of a
    source is exactly 0 in all frames of a bin: there it is 0.
    """
    more = residual or (len(estimate) == 1 and niter > 0)
    spec = wiener(
        estimate,
        mix,
        niter,
        softmask,
        alpha,
        more,
        fit=False,
        loudest=loudest,
        bins_at_once=bins_at_once,
        over=over,
    )
    return spec if residual else spec[: len(estimate)]
