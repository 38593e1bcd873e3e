"""xumx-sliCQ (Hanssian 2021) and xumx-sliCQ-V2 (2023): `configs/xumx_slicq.py:NAME`.

    python train.py --config configs/xumx_slicq.py:v2 --config.data.root=MUSDB18-HQ

`NAME,tiny` is the same at a size that runs in seconds, to try things out:

    python train.py --config configs/xumx_slicq.py:v2,tiny --config.data.root=FOLDER

RECIPES lists them. Values are those of their author's program (github.com/sevagh/xumx-sliCQ), which
validated whole tracks; V2 computed products in bfloat16 (`--config.train.compute=bfloat16`). The
first version's loss is as its paper describes it: its program took the SDR without a gradient, and
never added up magnitudes (`--config.loss.si_sdr_multi_domain.original=True`).
"""

from typing import Any, NamedTuple

from configs.common import base, variant_of
from xumx_jax.errors import UserError


class Recipe(NamedTuple):
    """How one model was trained.

    model    key of MODELS
    changes  {option: value} where it differs from the defaults of `configs.common.base`
    tiny     arguments that make the model small, for `NAME,tiny`
    """

    model: str
    changes: dict[str, Any]
    tiny: dict[str, Any]


# Of branch v1; the rest of its schedule are the defaults here.
V1 = {
    "loss.name": "si_sdr_multi_domain",
    "optimizer.learning_rate": 1e-3,
    "train.batch_size": 32,
    "train.seconds": 1.0,
}
TINY_V1 = {"bins": 40, "low_hz": 200.0, "bandwidth_hz": 1000.0}
# Of its training.py; weight decay 1e-5 and a plateau of 80 epochs are the defaults here.
V2 = {
    "loss.name": "complex_mse_mask_sum",
    # theirs is the mean over real and imaginary parts, half of ours, plus 1 times the masks' term
    "loss.complex_mse_mask_sum.mask_coef": 2.0,
    "optimizer.name": "adamw",
    "optimizer.learning_rate": 1e-3,
    "train.batch_size": 64,
    "train.seconds": 2.0,
}
TINY_V2 = {"bins": 40, "low_hz": 200.0, "hidden_size": 8, "inner_size": 8}

RECIPES = {
    # Published on the MUSDB18-HQ test set: 3.6 dB with the Wiener filter on the STFT, 3.71 with
    # that on the sliCQ; its best validation loss was -0.449, at epoch 583
    "v1": Recipe("xumx_slicq", V1, TINY_V1),
    # Published scores on the MUSDB18-HQ test set: vocals 4.791, drums 4.846, bass 4.690,
    # other 3.273, mean 4.40 dB; its best validation loss was 0.0405, at epoch 198
    "v2": Recipe("xumx_slicq_v2", V2, TINY_V2),
    # The realtime variant: vocals 4.526, drums 4.749, bass 3.837, other 3.168, mean 4.07 dB
    "v2_realtime": Recipe("xumx_slicq_v2", {**V2, "model.args.mix_phase": True}, TINY_V2),
}


def get_config(variant: str = ""):
    name, _, size = variant.partition(",")
    if name not in RECIPES:
        raise UserError(
            f"variant {variant!r} of a config; wanted one of {', '.join(RECIPES)}, "
            "or one of them and ',tiny'"
        )
    recipe = RECIPES[name]
    config = base(recipe.model)
    config.update_from_flattened_dict(recipe.changes)
    return variant_of(config, size, **recipe.tiny)
