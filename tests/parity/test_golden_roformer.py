"""BS-RoFormer and Mel-Band RoFormer against recorded outputs of their PyTorch programs."""

import jax
import numpy as np
import pytest
from golden_files import golden
from golden_torch import arrays, check_gradients, close, loaded, meta

from xumx_jax import losses
from xumx_jax.stems import Stems

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


@golden("torch/modern_[bm][se]*_train.npz")
def test_training(path, tmp_path):
    """The loss of several resolutions and its gradients."""
    file, said = arrays(path), meta(path)["kwargs"]
    model, variables, info = loaded(path, tmp_path)
    measure = losses.build(
        "multi_resolution_l1",
        windows=tuple(said["multi_stft_resolutions_window_sizes"]),
        n_fft=said["stft_n_fft"],
        hop=said["multi_stft_hop_size"],
        weight=said["multi_stft_resolution_loss_weight"],
    )

    def loss(params):
        found = model.apply({**variables, "params": params}, file["in/x"], True)
        if model.ends:  # theirs ends with the last whole hop
            length = file["in/x"].shape[-1] // model.hop * model.hop
            found = Stems(found.wave[..., :length], found.spec)
        return measure(found, Stems(file["in/target"]), file["in/x"])

    step = jax.jit(jax.value_and_grad(loss, has_aux=True))
    (value, parts), gradient = step(variables["params"])
    np.testing.assert_allclose(value, file["out/loss"], rtol=1e-5)
    np.testing.assert_allclose(parts["l1"], file["out/l1"], rtol=1e-5)
    np.testing.assert_allclose(parts["multi_stft"], file["out/multi_stft"], rtol=1e-5)
    check_gradients(path, info, gradient)
