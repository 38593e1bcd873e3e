"""Write the two small files beside this one with PyTorch (2.13.0 made those in the repository).

They hold what a reader must cope with: dtypes, views that share a storage, strides, parameters,
counters, values beside the tensors, and an object of a class that a reader must not import.
"""

import argparse
from collections import OrderedDict
from pathlib import Path

import torch


def contents() -> dict:
    base = torch.arange(24, dtype=torch.float32) / 8
    state = OrderedDict(
        whole=base.reshape(4, 6),
        turned=base.reshape(4, 6).T,
        part=base.reshape(4, 6)[1:3, 2:5],
        every_third=base[1::3],
        double=base.double(),
        half=base.half(),
        brain=base.bfloat16(),
        parameter=torch.nn.Parameter(base[:3]),
        expanded=base[5:6].expand(3, 2),
        count=torch.tensor(7),
        none=torch.zeros(0, 3),
    )
    return {
        "state_dict": state,
        "model_args": {"sources": ["a", "b"], "n_hop": 16, "window": None},
        "options": argparse.Namespace(depth=3),
        "optimizer": {"lr": 0.5, "steps": [torch.ones(2)]},
    }


if __name__ == "__main__":
    here = Path(__file__).parent
    torch.save(contents(), here / "zip.pth")
    torch.save(contents(), here / "legacy.pth", _use_new_zipfile_serialization=False)
