"""Small data sets on disk for the tests of training: three tracks of noise, one to validate."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

ROOT = Path(__file__).parents[1]
RATE = 8000
SMALL = [
    "--config.model.args.sample_rate=8000", "--config.model.args.n_fft=256",
    "--config.model.args.hop=64", "--config.model.args.hidden_size=8",
    "--config.model.args.layers=2", "--config.model.args.bandwidth_hz=4000",
    "--config.train.seconds=0.2", "--config.train.valid_seconds=0.5",
]  # fmt: skip


def make(root: Path, seconds: float = 1.0, rate: int = RATE) -> Path:
    """ROOT/{train,valid}/<track>/<source>.wav, 16 bit."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 3), ("valid", 1)):
        for track in range(count):
            folder = root / part / f"track{track}"
            folder.mkdir(parents=True)
            for source in ("vocals", "drums", "bass", "other"):
                wave = 0.1 * rng.normal(size=(round(seconds * rate) + 100 * track, 2))
                soundfile.write(folder / f"{source}.wav", wave, rate, subtype="PCM_16")
    return root


def train(
    workdir: Path, root: Path, *more: str,
    config: str = "configs/xumx.py:tiny", before: tuple = (), **environment: str,
):  # fmt: skip
    """Start the real train.py on one CPU device; a Popen with all output in one pipe."""
    command = [sys.executable, *before, "train.py", "--config", config, "--workdir", workdir]
    command += [f"--config.data.root={root}", "--config.data.engine=threads", *more]
    return subprocess.Popen(
        [str(word) for word in command],
        cwd=ROOT,
        env=os.environ
        | {"XLA_FLAGS": "--xla_backend_optimization_level=0", "JAX_PLATFORMS": "cpu"}
        | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
