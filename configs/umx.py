"""Open-Unmix (Stoeter et al. 2019): independent sources, without X-UMX's averages.

    python train.py --config configs/umx.py --config.data.root=MUSDB18-HQ

In the original, every source is trained separately; here all share one run and one checkpoint, and
the loss, a mean over sources, gives each its own gradient. To train one target, as in the original:

    python train.py --config configs/umx.py --config.model.args.sources="('vocals',)"

Published scores of `umxhq` on the MUSDB18-HQ test set (median SDR over tracks): vocals 6.25, drums
6.04, bass 5.07, other 4.28 dB.
"""

from configs.common import base, variant_of
from configs.xumx import TINY


def get_config(variant: str = ""):
    config = base("umx")
    config.loss.name = "mse"
    config.loss.mse.combinations = False
    config.optimizer.name = "adam"  # PyTorch's
    config.train.patience = 140
    config.train.valid_seconds = 0.0  # whole tracks
    return variant_of(config, variant, **TINY)
