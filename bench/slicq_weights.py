"""Random weights and music for `make bench-slicq`, in a process that then ends.

    python bench/slicq_weights.py FOLDER ROW QUICK

Writes FOLDER/options.json, which both sides read; what the row begins with, FOLDER/mix.npy,
coefficients.npy or stems.npy; and of rows with a network FOLDER/weights.pth, which PyTorch's side
loads, and FOLDER/weights.safetensors, the same as our program converts it.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from slicq import ROWS, SAMPLE_RATE
from slicq_torch import network

from xumx_jax.models import build
from xumx_jax.transforms.slicq import SliCQ
from xumx_jax.weights.bag import save_model
from xumx_jax.weights.converters import convert, read_all


def randomise(model: torch.nn.Module) -> None:
    """Draw every weight, so that no default hides a mistake and activations stay of order one."""
    draw = torch.Generator().manual_seed(0)
    for name, tensor in model.state_dict().items():
        value = torch.randn(tensor.shape, generator=draw)
        if tensor.ndim > 1:
            value = value / tensor[0].numel() ** 0.5
        elif name.endswith(("weight", "running_var", "input_scale")):
            value = 1 + 0.2 * value.clamp(-2, 2)
        else:
            value = 0.2 * value
        tensor.copy_(value)


def settings(row, quick: bool) -> dict:
    """The arguments of our model that say what its transform is."""
    scale, bins, low_hz = row.transform(quick)
    return {"scale": scale, "bins": bins, "low_hz": low_hz}


def write_weights(folder: Path, kind: str, said: dict, options: dict) -> None:
    model = network(options)
    randomise(model)
    torch.save(model.state_dict(), folder / "weights.pth")
    member = convert(read_all({"": folder / "weights.pth"}, kind, said), kind)
    place = folder / "weights.safetensors"
    save_model(place, member.name, member.args, member.variables, member.info)


def main(folder: Path, name: str, quick: bool) -> None:
    row = ROWS[name]
    said = settings(row, quick)
    plan = SliCQ(**said)
    options = {"transform": row.transform(quick)}
    options["blocks"] = [(block.bands, block.size) for block in plan.blocks]
    if row.kind == "xumx-slicq":
        said["bandwidth_hz"] = row.bandwidth_hz(quick)
        groups = build("xumx_slicq", **said).groups
        options["networks"] = sum(len(group.blocks) for group in groups)
    (folder / "options.json").write_text(json.dumps(options))
    if row.kind:
        write_weights(folder, row.kind, said, options)
    draw, samples = np.random.default_rng(0), round(row.length(quick) * SAMPLE_RATE)
    music = 0.1 * draw.standard_normal((*row.shape, samples), dtype=np.float32)
    if row.starts == "coefficients":
        music = np.asarray(plan.analyse(music))
    np.save(folder / f"{row.starts}.npy", music)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], bool(int(sys.argv[3])))
