"""MDX-Net against recorded outputs of kuielab's program, and of its network as .onnx."""

import jax
import pytest
from foreign import write_pth
from golden_files import golden
from golden_torch import arrays, close, meta, under

from xumx_jax.models import build
from xumx_jax.weights.converters import convert, read_all
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


@golden("torch/modern_mdxnet.npz")
def test_onnx(path, tmp_path):
    """The exported file, whose names say little: its nodes in their order."""
    file, said = arrays(path), meta(path)["kwargs"]
    place = tmp_path / "UVR-MDX-NET.onnx"
    place.write_bytes(file["in/onnx"].tobytes())
    settings = {"hop": said["hop_length"], "n_fft": said["n_fft"], "frames": said["dim_t"]}
    weights = read_all({"": place}, "mdxnet-onnx", settings)
    member = convert(weights)
    model = build(member.name, **member.args)
    x = file["in/x"].transpose(0, 3, 2, 1)
    found = jax.jit(lambda v, x: model.apply(v, x, method="network"))(member.variables, x)
    close(path, "y_onnxruntime", found.transpose(0, 3, 2, 1), FACTOR, FLOOR)
