"""MDX23C against recorded outputs of ZFTurbo's program."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_files import golden
from golden_torch import arrays, check_gradients, close, loaded

pytestmark = pytest.mark.usefixtures("quick_compile")
FACTOR, FLOOR = 10, 0.0  # of the original's own rounding


@golden("torch/modern_mdx23c*.npz")
def test_waves(path, tmp_path):
    if "out/y" not in arrays(path):
        pytest.skip("gradients are another test's")
    model, variables, _ = loaded(path, tmp_path)
    found = jax.jit(model.apply)(variables, arrays(path)["in/x"]).wave
    assert model.segment.fit(found.shape[-1]) == found.shape[-1]
    close(path, "y", found, FACTOR, FLOOR)


@golden("torch/modern_mdx23c_train.npz")
def test_training(path, tmp_path):
    file = arrays(path)
    model, variables, info = loaded(path, tmp_path)

    def loss(params):
        found = model.apply({"params": params}, file["in/x"], True).wave
        return jnp.abs(found - file["in/target"]).mean()

    value, gradient = jax.jit(jax.value_and_grad(loss))(variables["params"])
    np.testing.assert_allclose(value, file["out/loss"], rtol=1e-5)
    check_gradients(path, info, gradient)
