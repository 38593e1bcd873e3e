"""Random weights and music for `networks`, in a process that then ends.

    python bench/networks_weights.py FOLDER BENCH ROW QUICK

Writes FOLDER/weights.pth, which PyTorch's side loads, FOLDER/weights.safetensors, the same as our
program converts it, and FOLDER/mix.npy, [batch, channel, time].
"""

import importlib
import sys
from pathlib import Path

import numpy as np
import torch
from demucs_cases import randomise
from networks_torch import models

import xumx_jax
from xumx_jax.layers.sinc_resample import torchaudio_kernel
from xumx_jax.transforms.bands import split_edges

SAMPLE_RATE = 44_100
RESAMPLERS = {"up_sample.kernel": (1, 2), "down_sample.kernel": (2, 1)}  # rates


def arguments(name: str, row, quick: bool) -> dict:
    """Those of PyTorch's model; where its bands end follows from the length of the window."""
    found = row.args | (row.quick if quick else {})
    if name == "bsrnn":
        found["edges"] = split_edges(found.pop("n_fft"))
    return found


def main(folder: Path, bench: str, name: str, quick: bool) -> None:
    row = importlib.import_module(bench).ROWS[name]
    args = arguments(name, row, quick)
    model = models(bench)[name](**args)
    randomise(model, seed=0)
    state = model.state_dict()
    for kernel, rates in RESAMPLERS.items():
        if kernel in state:
            state[kernel] = torch.from_numpy(np.float32(torchaudio_kernel(*rates)[:, None]))
    saved = {"state_dict": state, "built_with": args}
    if row.told:
        saved["model_args"] = row.stated(args)
    torch.save(saved, folder / "weights.pth")
    xumx_jax.convert(folder / "weights.pth", folder / "weights.safetensors")
    seconds = row.quick_seconds if quick else row.seconds
    noise = np.random.default_rng(0).standard_normal((1, 2, round(seconds * SAMPLE_RATE)))
    np.save(folder / "mix.npy", (0.1 * noise).astype(np.float32))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:4], bool(int(sys.argv[4])))
