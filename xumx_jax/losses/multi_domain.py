"""X-UMX's loss: magnitudes and waveforms together."""

from jax import Array

from xumx_jax.losses.magnitude import mse
from xumx_jax.losses.waveform import sdr
from xumx_jax.stems import Stems


def multi_domain(est: Stems, ref: Stems, mix: Array, *, mcoef: float, combinations, trim, power):
    """`mse` plus `mcoef` times `weighted_sdr` (Sawata et al. 2021, equation 6)."""
    in_frequency, parts = mse(est, ref, mix, combinations=combinations, power=power)
    in_time, more = sdr(est, ref, mix, combinations=combinations, trim=trim)
    return in_frequency + mcoef * in_time, parts | more
