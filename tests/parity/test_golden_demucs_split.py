"""DemucsSplit against recorded outputs of AIMLESS's PyTorch program."""

from functools import partial

import jax
import pytest
from golden_files import golden
from golden_torch import arrays, close, loaded

close = partial(close, factor=10, floor=1e-6)
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]


@pytest.fixture
def model(path, tmp_path):
    """Module and variables, through a file like the program's own."""
    module, variables, _ = loaded(path, tmp_path)
    return module, variables


@golden("torch/aimless_demucs_split*.npz")
def test_forward(path, model):
    module, variables = model
    run = jax.jit(partial(module.apply, method="separate"))
    close(path, "y", run(variables, arrays(path)["in/x"]))
