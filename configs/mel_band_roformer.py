"""Mel-Band RoFormer for vocals, as ZFTurbo trains it; published ones have 384 features.

config_vocals_mel_band_roformer.yaml, without its dropout.
"""

from configs.msst import recipe

CHANGES = {
    "loss.name": "multi_resolution_l1",
    "model.args.features": 192,
    "model.args.layers": 8,
    "model.args.hop": 512,
    "optimizer.learning_rate": 5e-5,
    "train.batch_size": 7,
    "train.seconds": 131584 / 44100,
}


def get_config(variant: str = ""):
    return recipe(
        "mel_band_roformer", variant, CHANGES, features=16, layers=1, heads=2, head_size=8
    )
