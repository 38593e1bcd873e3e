"""DemucsSplit against recorded outputs of AIMLESS's PyTorch program."""

from functools import partial

import jax
import pytest
from foreign import write_pth
from golden_files import golden
from golden_torch import arrays, close, meta, under

from xumx_jax.weights.load import load_module

close = partial(close, factor=10, floor=1e-6)
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]


@pytest.fixture
def model(path, tmp_path):
    """Module and variables, through a file like the program's own."""
    contents = {"state_dict": under(path, "w/"), "model_args": meta(path)["kwargs"]}
    module, variables, _ = load_module(write_pth(tmp_path / "weights.pth", contents))
    return module, variables


@golden("torch/aimless_demucs_split*.npz")
def test_forward(path, model):
    module, variables = model
    run = jax.jit(partial(module.apply, method="separate"))
    close(path, "y", run(variables, arrays(path)["in/x"]))
