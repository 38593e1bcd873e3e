"""xumx-sliCQ (Hanssian 2021) and xumx-sliCQ-V2 (2023): `configs/xumx_slicq.py:NAME`.

    python train.py --config configs/xumx_slicq.py:v2 --config.data.root=MUSDB18-HQ

`NAME,tiny` is the same at a size that runs in seconds, to try things out:

    python train.py --config configs/xumx_slicq.py:v2,tiny --config.data.root=FOLDER

RECIPES lists them. Values are those of their author's program (github.com/sevagh/xumx-sliCQ), which
validated whole tracks; V2 computed products in bfloat16 (`--config.train.compute=bfloat16`). The
first version's loss is as its paper describes it: its program took the SDR without a gradient, and
never added up magnitudes (`--config.loss.si_sdr_multi_domain.original=True`).
"""

from configs.common import Published, published

# Of branch v1; the rest of its schedule are the defaults here.
V1 = {
    "loss.name": "si_sdr_multi_domain",
    "optimizer.learning_rate": 1e-3,
    "train.batch_size": 32,
    "train.seconds": 1.0,
}
TINY_V1 = {"bins": 40, "low_hz": 200.0, "bandwidth_hz": 1000.0}
# Of its training.py; weight decay 1e-5 and a plateau of 80 epochs are the defaults here.
V2 = {
    "loss.name": "complex_mse_mask_sum",
    # theirs is the mean over real and imaginary parts, half of ours, plus 1 times the masks' term
    "loss.complex_mse_mask_sum.mask_coef": 2.0,
    "optimizer.name": "adamw",
    "optimizer.learning_rate": 1e-3,
    "train.batch_size": 64,
    "train.seconds": 2.0,
}
TINY_V2 = {"bins": 40, "low_hz": 200.0, "hidden_size": 8, "inner_size": 8}

RECIPES = {
    # Published on the MUSDB18-HQ test set: 3.6 dB with the Wiener filter on the STFT, 3.71 with
    # that on the sliCQ; its best validation loss was -0.449, at epoch 583
    "v1": Published("xumx_slicq", V1, TINY_V1),
    # Published scores on the MUSDB18-HQ test set: vocals 4.791, drums 4.846, bass 4.690,
    # other 3.273, mean 4.40 dB; its best validation loss was 0.0405, at epoch 198
    "v2": Published("xumx_slicq_v2", V2, TINY_V2),
    # The realtime variant: vocals 4.526, drums 4.749, bass 3.837, other 3.168, mean 4.07 dB
    "v2_realtime": Published("xumx_slicq_v2", {**V2, "model.args.mix_phase": True}, TINY_V2),
}


def get_config(variant: str = ""):
    return published(RECIPES, variant)
