"""SCNet, the smaller of its authors' two networks, with the settings that ZFTurbo trains the larger
one with (config_musdb18_scnet_large.yaml). That one is

    python train.py --config configs/scnet.py --config.model.args.features='(64, 128, 256)'
        --config.model.args.shares='(0.225, 0.372, 0.403)'
"""

from configs.msst import MASKED, recipe

CHANGES = {
    **MASKED,
    "optimizer.learning_rate": 5e-4,
    "train.batch_size": 6,
    "train.seconds": 11.0,
}


def get_config(variant: str = ""):
    return recipe("scnet", variant, CHANGES, features=(8, 8), depths=(1, 1, 1), pairs=2)
