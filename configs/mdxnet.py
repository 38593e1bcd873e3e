"""MDX-Net for vocals. Its authors' RMSprop is Adam here, at their learning rate."""

from configs.msst import MASKED, recipe

CHANGES = {
    **MASKED,
    "optimizer.learning_rate": 1e-4,
    "train.batch_size": 8,
    "train.seconds": 261120 / 44100,
}


def get_config(variant: str = ""):
    return recipe(
        "mdxnet", variant, CHANGES, n_fft=1024, hop=256, bins=512, frames=32, features=8, scales=2
    )
