"""MDX-Net against recorded outputs of kuielab's program, and of its network as .onnx."""

import jax
import pytest
from foreign import write_pth
from golden_files import golden
from golden_torch import arrays, close, meta, under

from xumx_jax.weights.load import load_module

pytestmark = pytest.mark.usefixtures("quick_compile")
FACTOR, FLOOR = 10, 0.0  # of the original's own rounding


@golden("torch/modern_mdxnet.npz")
def test_network(path, tmp_path):
    said = meta(path)["kwargs"]
    contents = {"state_dict": under(path, "w/"), "model_args": said}
    model, variables, _ = load_module(write_pth(tmp_path / "weights.ckpt", contents))
    assert (model.bins, model.features, model.bottleneck) == (said["dim_f"], said["g"], said["bn"])
    x = arrays(path)["in/x"].transpose(0, 3, 2, 1)
    found = jax.jit(lambda v, x: model.apply(v, x, method="network"))(variables, x)
    close(path, "y", found.transpose(0, 3, 2, 1), FACTOR, FLOOR)
