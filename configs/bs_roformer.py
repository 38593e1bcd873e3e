"""BS-RoFormer for vocals, as ZFTurbo trains it; published ones are larger (features 384 or 512).

config_vocals_bs_roformer.yaml, without its dropout.
"""

from configs.msst import recipe

CHANGES = {
    "loss.name": "multi_resolution_l1",
    "model.args.features": 192,
    "model.args.layers": 6,
    "model.args.hop": 512,
    "optimizer.learning_rate": 5e-5,
    "train.batch_size": 10,
    "train.seconds": 131584 / 44100,
}


def get_config(variant: str = ""):
    return recipe("bs_roformer", variant, CHANGES, features=16, layers=1, heads=2, head_size=8)
