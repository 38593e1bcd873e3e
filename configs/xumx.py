"""X-UMX as published (Sawata et al. 2021), on any folder of stems.

    python train.py --config configs/xumx.py --config.data.root=MUSDB18-HQ

`:tiny` is the same at a size that trains on a laptop in minutes, to try things out:

    python train.py --config configs/xumx.py:tiny --config.data.root=FOLDER

Published score of the full model on the MUSDB18 test set (median SDR over tracks): vocals 6.61,
drums 6.47, bass 5.43, other 4.64 dB.
"""

from configs.common import base


def get_config(variant: str = ""):
    config = base()
    if variant == "tiny":
        config.model.args = {"hidden_size": 32, "n_fft": 1024, "hop": 256}
        config.train.update(
            {"batch_size": 4, "seconds": 2.0, "epochs": 10, "examples_per_track": 8}
        )
    elif variant:
        raise ValueError(f"variant {variant!r}: wanted none or tiny")
    return config
