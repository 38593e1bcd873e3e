"""Hybrid Transformer Demucs against recorded outputs of the Demucs package."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_files import golden
from golden_torch import arrays, check_gradients, close, loaded, meta, tree_of, under

from xumx_jax.layers.cross_transformer import CrossOptions, CrossTransformer, sines, sines_2d
from xumx_jax.models import build
from xumx_jax.weights.converters import htdemucs

pytestmark = pytest.mark.usefixtures("quick_compile")
FACTOR, FLOOR = 10, 0.0  # of the original's own rounding


@pytest.mark.slow
@golden("torch/modern_htdemucs_[cfms]*.npz")
def test_waves(path, tmp_path):
    model, variables, _ = loaded(path, tmp_path)
    found = jax.jit(model.apply)(variables, arrays(path)["in/x"]).wave
    close(path, "y", found, FACTOR, FLOOR)


@pytest.mark.slow
@golden("torch/modern_htdemucs_train.npz")
def test_training(path, tmp_path):
    file = arrays(path)
    model, variables, info = loaded(path, tmp_path)

    def loss(params):
        found = model.apply({"params": params}, file["in/x"], True).wave
        return jnp.abs(found - file["in/target"]).mean()

    value, gradient = jax.jit(jax.value_and_grad(loss))(variables["params"])
    np.testing.assert_allclose(value, file["out/loss"], rtol=1e-5)
    check_gradients(path, info, gradient, floor=1e-7)


@golden("torch/modern_crosstransformer_*.npz")
def test_transformer(path):
    said, x, t = meta(path)["kwargs"], arrays(path)["in/x"], arrays(path)["in/xt"]
    fields = {
        "num_heads": "t_heads", "hidden_scale": "t_hidden_scale", "group_norm": "t_group_norm",
        "norm_in_group": "t_norm_in_group", "norm_in": "t_norm_in", "gelu": "t_gelu",
        "cross_first": "t_cross_first", "weight_pos_embed": "t_weight_pos_embed",
        "max_period": "t_max_period", "emb": "t_emb", "num_layers": "t_layers",
    }  # fmt: skip
    args = {ours: said[theirs] for theirs, ours in fields.items() if theirs in said}
    model = build("htdemucs", bottom_channels=said["dim"], **args)
    options = CrossOptions(
        model.t_heads, model.t_hidden_scale, norm_groups=model.t_group_norm, gelu=model.t_gelu
    )
    layer = CrossTransformer(
        model.t_layers, options, model.t_cross_first, model.t_emb, model.t_weight_pos_embed,
        model.t_max_period, norm_in=model.t_norm_in, norm_in_groups=model.t_norm_in_group,
    )  # fmt: skip
    variables = tree_of(htdemucs.transformer(model, "", "."), under(path, "w/"))
    spectra, waves = jax.jit(layer.apply)(variables, x.transpose(0, 3, 2, 1), t.swapaxes(1, 2))
    close(path, "x", spectra.transpose(0, 3, 2, 1), FACTOR, FLOOR)
    close(path, "xt", waves.swapaxes(1, 2), FACTOR, FLOOR)


@golden("torch/modern_htdemucs_embeddings.npz")
def test_positions(path):
    said = meta(path)["kwargs"]
    made = partial(sines, channels=said["dim"], period=said["max_period"])
    positions = np.arange(said["length"])
    close(path, "sin", made(positions)[:, None], FACTOR)
    close(path, "sin_shift5", made(positions + 5)[:, None], FACTOR)
    middle = made(positions - positions.mean())
    close(path, "cape_eval", np.stack([middle] * said["cape_batch"], axis=1), FACTOR)
    plane = sines_2d(said["width"], said["height"], said["d_model"], said["max_period_2d"])
    close(path, "sin2d", plane.T[None], FACTOR)
