"""MDX23C, as ZFTurbo trains it for four sources: config_musdb18_mdx23c.yaml, without effects."""

from configs.msst import MASKED, recipe

CHANGES = {
    **MASKED,
    "model.args.sources": ("drums", "bass", "other", "vocals"),
    "optimizer.learning_rate": 9e-5,
    "optimizer.accumulate": 4,
    "train.batch_size": 4,
    "train.seconds": 261120 / 44100,
}


def get_config(variant: str = ""):
    return recipe(
        "mdx23c", variant, CHANGES, n_fft=1024, hop=256, bins=512, frames=32, features=8, growth=8,
        scales=2, subbands=2,
    )  # fmt: skip
