"""SCNet, as ZFTurbo trains it."""

from configs.msst import MASKED, recipe

CHANGES = {
    **MASKED,
    "optimizer.learning_rate": 5e-4,
    "train.batch_size": 10,
    "train.seconds": 6.0,
}


def get_config(variant: str = ""):
    return recipe("scnet", variant, CHANGES, features=(8, 8), depths=(1, 1, 1), pairs=2)
