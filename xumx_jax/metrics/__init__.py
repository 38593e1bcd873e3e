"""Measures of how good a separation is, in dB.

energy_ratio, si_sdr            jax, for use inside compiled functions: training, losses
sdr_frames, whole_track         finished waveforms of any length, numpy out
bss_eval                        the same, BSSEval version 4

Score files and reports are in `xumx_jax.evaluation`, and losses in `xumx_jax.losses`.
"""

from xumx_jax.metrics.bsseval import BssEval, bss_eval, usual_precision
from xumx_jax.metrics.ratios import energy_ratio, sdr_frames, si_sdr, whole_track

__all__ = [
    "BssEval",
    "bss_eval",
    "energy_ratio",
    "sdr_frames",
    "si_sdr",
    "usual_precision",
    "whole_track",
]
