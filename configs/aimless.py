"""The models of AIMLESS (Sound Demixing Challenge 2023), each a variant: `configs/aimless.py:NAME`.

    python train.py --config configs/aimless.py:bsrnn --config.data.root=FOLDER

`NAME,tiny` is the same at a size that runs in seconds, to try things out:

    python train.py --config configs/aimless.py:bsrnn,tiny --config.data.root=FOLDER

RECIPES lists them. Their authors published no weights, and scores only of combinations of models.
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


# What all of them have in common: PyTorch's Adam, no decay, a constant learning rate.
ADAM = {
    "optimizer.name": "adam",
    "optimizer.learning_rate": 3e-4,
    "optimizer.weight_decay": 0.0,
    "optimizer.plateau.patience": None,
    "recipe.polarity": 0.5,
}

RECIPES = {
    # Music of films, on Divide and Remaster: 99,000 steps
    "bsrnn": Recipe(
        "bsrnn",
        {
            **ADAM,
            "train.seconds": 3.0,
            "train.epochs": 99,
            "train.steps_per_epoch": 1000,
            "loss.multi_domain.trim": 0,
        },
        {"hidden_size": 16, "layers": 1, "n_fft": 512, "hop": 128},
    ),
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
