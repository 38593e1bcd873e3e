"""X-UMX as published (Sawata et al. 2021).

    python train.py --config configs/xumx.py --config.data.root=MUSDB18

`:tiny` is the same at a size that runs in seconds, to try things out:

    python train.py --config configs/xumx.py:tiny --config.data.root=FOLDER

Published score of the full model on the MUSDB18 test set (median SDR over tracks): vocals 6.61,
drums 6.47, bass 5.43, other 4.64 dB.
"""

from configs.common import base, variant_of

TINY = {"hidden_size": 16, "n_fft": 1024, "hop": 256}


def get_config(variant: str = ""):
    return variant_of(base(), variant, **TINY)
