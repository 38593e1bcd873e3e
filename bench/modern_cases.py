"""HTDemucs, RoFormers, SCNet and MDX23C from PyPI against ours, for `parity.py`: stems.

At full width and reduced depth, or (FULL) as published. The original's weights go through a file.
"""

from pathlib import Path

import jax
import torch
from demucs_cases import randomise
from modern import BS, MDX23C, MEL, ROWS
from modern_torch import MODELS

from xumx_jax.weights import load

# {case: (row of `modern`, its arguments, seconds of music)}
CASES = {
    "HTDemucs, shallow": ("htdemucs", {"segment": 3.0, "t_layers": 3}, 3.0),
    "BS-RoFormer, shallow": ("bs_roformer", BS | {"depth": 1}, 3.0),
    "Mel-Band RoFormer, shallow": ("mel_band_roformer", MEL | {"depth": 1}, 3.0),
    "SCNet, shallow": ("scnet", ROWS["scnet"].args | {"num_dplayer": 2}, 3.0),
    "MDX23C, shallow": (
        "mdx23c",
        MDX23C | {"model": {**MDX23C["model"], "num_scales": 2, "num_blocks_per_scale": 1}},
        63 * 1024 / 44100,
    ),
}
FULL = {
    "HTDemucs, full": ("htdemucs", ROWS["htdemucs"].args, 7.8),
    "BS-RoFormer, full": ("bs_roformer", BS, 4.0),
    "Mel-Band RoFormer, full": ("mel_band_roformer", MEL, 4.0),
    "SCNet, full": ("scnet", ROWS["scnet"].args, 11.0),
    "MDX23C, full": ("mdx23c", MDX23C, ROWS["mdx23c"].seconds),
}


def stems(folder: Path, seed: int, mix, differ, row: str, arguments: dict):
    """Yield (stem, difference) of a network's outputs."""
    original = MODELS[row](**arguments).eval()
    randomise(original, seed)
    path = folder / f"{seed}.ckpt"
    saved = {"state_dict": original.state_dict(), "model_args": ROWS[row].stated(arguments)}
    torch.save(saved, path)
    with torch.no_grad():
        wanted = original(torch.from_numpy(mix)).numpy()
    del original
    module, variables, _ = load.load_module(path)
    found = jax.jit(module.apply)(variables, mix).wave
    wanted = wanted.reshape(found.shape)  # of one stem, theirs has no axis for it
    for number, source in enumerate(module.sources):
        yield f"waveform {source}", differ(found[:, number], wanted[:, number])
