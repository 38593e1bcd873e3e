"""SCNet and its variants against recorded outputs of starrytong's and ZFTurbo's programs."""

import jax
import pytest
from foreign import write_pth
from golden_files import golden
from golden_torch import arrays, close, meta, under

from xumx_jax.weights.load import load_module

pytestmark = pytest.mark.usefixtures("quick_compile")
FACTOR, FLOOR = 10, 0.0  # of the original's own rounding


@golden("torch/modern_scnet*.npz")
def test_waves(path, tmp_path):
    said = meta(path)
    given = said["kwargs"] | {"standardized": "starrytong" in said["cls"]}
    contents = {"state_dict": under(path, "w/"), "model_args": given}
    model, variables, _ = load_module(write_pth(tmp_path / "weights.pth", contents))
    found = jax.jit(model.apply)(variables, arrays(path)["in/x"]).wave
    close(path, "y", found, FACTOR, FLOOR)
