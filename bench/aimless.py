"""Time Demucs and AIMLESS's networks against PyTorch: one chunk of music, and one training step.

    make bench-aimless                         ARGS="--rounds 5"
    make bench-aimless ARGS=--quick            tiny models, seconds: does it all run?

How it is measured: `networks`.
"""

import sys

import networks
from networks import TASKS, Row

WAVE_SMALL = {"channels": 4, "depth": 2}
ROWS = {
    "hdemucs": Row(
        10.0, {}, {"channels": 4, "nfft": 256, "depth": 3, "dconv_depth": 1}, tasks=TASKS
    ),
    "demucs": Row(10.0, {}, WAVE_SMALL),
    "bsrnn": Row(
        3.0,
        {"n_fft": 4096},
        {"n_fft": 512, "hidden_size": 8, "num_layers": 1},
        tasks=TASKS,
        threads=(1, 2),
    ),
    "demucs_split": Row(10.0, {"channels": 48}, WAVE_SMALL, decisive=False),
}
BENCH = networks.Bench("aimless", ROWS)

if __name__ == "__main__":
    sys.exit(networks.main(BENCH, __doc__))
