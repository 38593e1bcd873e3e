"""BS-RoFormer and Mel-Band RoFormer against recorded outputs of their PyTorch programs."""

import jax
import numpy as np
import pytest
from golden_files import golden
from golden_torch import arrays, close, loaded

pytestmark = pytest.mark.usefixtures("quick_compile")
FACTOR, FLOOR = 10, 0.0  # of the original's own rounding


@golden("torch/modern_[bm][se]*_*.npz")
def test_waves(path, tmp_path):
    file = arrays(path)
    if "out/y" not in file:
        pytest.skip("gradients are another test's")
    model, variables, info = loaded(path, tmp_path)
    found = np.asarray(jax.jit(model.apply)(variables, file["in/x"]).wave)
    wanted = file["out/y"]
    found = found[..., : wanted.shape[-1]]
    close(path, "y", found[:, 0] if wanted.ndim == 3 else found, FACTOR, FLOOR)
