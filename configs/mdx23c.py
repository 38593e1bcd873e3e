"""MDX23C, with the values that UVR's InstVoc HQ states."""

from configs.msst import MASKED, recipe

CHANGES = {
    **MASKED,
    "optimizer.learning_rate": 1e-5,
    "train.batch_size": 6,
    "train.seconds": 261120 / 44100,
}


def get_config(variant: str = ""):
    return recipe(
        "mdx23c", variant, CHANGES, n_fft=1024, hop=256, bins=512, frames=32, features=8, growth=8,
        scales=2, subbands=2,
    )  # fmt: skip
