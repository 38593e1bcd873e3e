"""Hybrid Transformer Demucs, as ZFTurbo trains it: on excerpts of 11 s.

config_musdb18_htdemucs.yaml; the network is the published one.
"""

from configs.msst import MASKED, recipe

CHANGES = {
    **MASKED,
    "model.args.seconds": 11.0,
    "optimizer.learning_rate": 9e-5,
    "train.batch_size": 8,
    "train.seconds": 11.0,
}


def get_config(variant: str = ""):
    return recipe(
        "htdemucs", variant, CHANGES, width=8, n_fft=1024, depth=3, bottom_channels=16, t_layers=2,
        t_heads=2, seconds=2.0,
    )  # fmt: skip
