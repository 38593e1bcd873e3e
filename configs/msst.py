"""What recipes of ZFTurbo's Music-Source-Separation-Training have in common.

Their values are those of its `configs/` (git 22a4cd3), in float32 where it has 16 bits
(`--config.train.compute=bfloat16`). Differences: it validates by SDR of whole tracks, here the loss
is validated, and the plateau follows it; it sometimes adds further stems of the same kind to a
stem ("mixup"), here each is one.
"""

from ml_collections import ConfigDict

from configs.common import base, variant_of

COMMON = {
    "optimizer.name": "adam",
    "optimizer.weight_decay": 0.0,
    "optimizer.plateau.patience": 2,
    "optimizer.plateau.factor": 0.95,
    "optimizer.plateau.cooldown": 0,
    "train.epochs": 1000,
    "train.steps_per_epoch": 1000,
    "train.average": 0.999,
    "recipe.gain": (0.5, 1.5),
    "recipe.swap": 0.0,
}
# Of the waveforms' losses: items with the largest errors of a batch do not count.
MASKED = {"loss.name": "masked_mse"}


def recipe(model: str, variant: str, changes: dict, **tiny) -> ConfigDict:
    """The config of a model: COMMON and `changes`, and `tiny` arguments for the variant tiny."""
    config = base(model)
    config.update_from_flattened_dict({**COMMON, **changes})
    return variant_of(config, variant, **tiny)
