"""Time HTDemucs, RoFormers, SCNet, MDX23C and MDX-Net against PyTorch: a chunk, a training step.

    make bench-modern                          ARGS="--rounds 5 --rows htdemucs scnet"
    make bench-modern ARGS=--quick             tiny models, seconds: does it all run?

Networks and chunks are as published: HTDemucs as htdemucs, BS-RoFormer as viperx's, Mel-Band
RoFormer as Kimberley Jensen's, SCNet as its authors' small one, MDX23C as InstVoc HQ, MDX-Net as
UVR's Inst HQ. `roformer_small` is trained alone. How it is measured: `networks`.
"""

import sys

import networks
from networks import TASKS, Row

ROFORMER = {
    "stereo": True, "num_stems": 1, "time_transformer_depth": 1, "freq_transformer_depth": 1,
    "stft_hop_length": 441, "attn_dropout": 0.0, "ff_dropout": 0.0,
}  # fmt: skip
SMALL = {"dim": 16, "depth": 1, "heads": 2, "dim_head": 8}
BS = {**ROFORMER, "dim": 512, "depth": 12, "mask_estimator_depth": 2}
MEL = {**ROFORMER, "dim": 384, "depth": 6, "mask_estimator_depth": 2, "num_bands": 60}
MDX23C = {
    "audio": {"num_channels": 2, "n_fft": 8192, "hop_length": 1024, "dim_f": 4096, "dim_t": 256},
    "model": {
        "norm": "InstanceNorm", "act": "gelu", "num_subbands": 4, "num_scales": 5, "scale": [2, 2],
        "num_blocks_per_scale": 2, "num_channels": 128, "growth": 128, "bottleneck_factor": 4,
    },
    "training": {"instruments": ["vocals", "instrumental"], "target_instrument": None},
}  # fmt: skip
MDX23C_SMALL = {
    "audio": {"num_channels": 2, "n_fft": 512, "hop_length": 64, "dim_f": 256, "dim_t": 32},
    "model": {**MDX23C["model"], "num_scales": 2, "num_channels": 8, "growth": 8},
}
MDXNET = {"bins": 3072, "n_fft": 6144, "features": 48, "blocks": 11, "dim_t": 256}
ROWS = {
    "htdemucs": Row(
        7.8,
        {"segment": 7.8},
        {
            "segment": 0.5, "channels": 8, "nfft": 512, "depth": 3, "t_layers": 2, "t_heads": 2,
            "bottom_channels": 16,
        },
        quick_seconds=0.5,
        tasks=TASKS,
        told=("segment", "channels", "nfft", "depth", "t_heads", "bottom_channels"),
    ),
    "scnet": Row(
        11.0,
        {"nfft": 4096, "hop_size": 1024, "win_size": 4096, "band_SR": [0.175, 0.392, 0.433]},
        {"dims": [4, 8, 8, 16], "nfft": 512, "hop_size": 128, "win_size": 512},
        told=("nfft", "hop_size", "win_size", "band_SR"),
    ),
    "mel_band_roformer": Row(8.0, MEL, SMALL, told=tuple(MEL)),
    "bs_roformer": Row(8.0, BS, SMALL, told=tuple(BS)),
    "roformer_small": Row(
        1.0,  # of 3 s, three processes have no room in 24 GiB
        {**BS, "dim": 192, "depth": 6, "stft_hop_length": 512, "num_stems": 4},
        {**SMALL, "num_stems": 4},
        tasks=("train",),
        told=tuple(BS),
    ),
    "mdx23c": Row(
        255 * 1024 / 44100,
        MDX23C,
        MDX23C_SMALL,
        quick_seconds=31 * 64 / 44100,
        told=tuple(MDX23C),
    ),
    "mdxnet": Row(
        255 * 1024 / 44100,
        MDXNET,
        {"bins": 256, "n_fft": 2048, "features": 8, "blocks": 5, "dim_t": 16},
        quick_seconds=15 * 1024 / 44100,
        told=("n_fft", "dim_t"),
    ),
}  # fmt: skip
BENCH = networks.Bench("modern", ROWS)

if __name__ == "__main__":
    sys.exit(networks.main(BENCH, __doc__))
