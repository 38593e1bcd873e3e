"""Resampling inside networks against recorded outputs of torchaudio and julius."""

import re

import jax
import numpy as np
import pytest
from golden_files import golden
from golden_torch import arrays, meta, under

from xumx_jax.layers import sinc_resample

FACTOR, FLOOR = 10, 1e-6  # of the oracle's own rounding, of its largest value


@pytest.mark.slow
@golden("torch/resample*.npz")
def test_recorded(path, quick_compile):
    recorded = under(path, "out/")
    assert recorded
    for name, wanted in recorded.items():
        program, old, new, length = re.fullmatch(r"(?:(julius)_)?(\d+)_(\d+)_L(\d+)", name).groups()
        resample = getattr(sinc_resample, f"{program or 'torchaudio'}_resample")
        resample = jax.jit(resample, static_argnums=(1, 2))
        x = arrays(path)[f"in/x{length}"]
        ours = resample(x, int(old), int(new))
        rounding = meta(path)["f32_vs_f64"][name]["max_abs"]
        tolerance = max(FACTOR * rounding, FLOOR * np.abs(wanted).max())
        assert ours.shape == wanted.shape, name
        np.testing.assert_allclose(ours, wanted, rtol=0, atol=tolerance, err_msg=name)


@golden("torch/resample*.npz")
def test_recorded_kernels(path):
    kernels = under(path, "w/kernel_")
    assert kernels
    for name, wanted in kernels.items():
        ours = sinc_resample.torchaudio_kernel(*map(int, name.split("_")))
        np.testing.assert_allclose(ours, wanted[:, 0], rtol=0, atol=1e-7, err_msg=name)
