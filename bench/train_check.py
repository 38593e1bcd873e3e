"""Compare one training step of asteroid's X-UMX with ours: losses and all gradients.

    python bench/train_check.py FOLDER

The same weights and batch, without dropout, which is random. Prints a line of JSON, {loss: value of
each of PyTorch's two forms and of ours, gradient: largest difference of a tensor relative to its
largest value}. Separate from the timed processes, since it holds both frameworks.
"""

import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import torch
import train_torch
from flax.traverse_util import flatten_dict
from parity import SHIFTS, as_ours

from xumx_jax import losses
from xumx_jax.stems import Stems
from xumx_jax.weights.load import load_module

NOISE = 1e-6  # of the largest gradient of all: what is smaller is rounding


def theirs(folder: Path, stems, kind: str):
    """Loss and state_dict with gradients in place of parameters."""
    model = train_torch.load(folder)
    for lstm in model.layer_lstm.values():
        lstm.dropout = 0.0
    value = train_torch.objective(model, train_torch.LOSSES[kind], torch.from_numpy(stems))
    value.backward()
    grads = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    return value.item(), model.state_dict() | grads


def ours(folder: Path, stems):
    """Loss, gradients and the file's description."""
    module, variables, info = load_module(folder / "weights.pth")
    module = module.clone(dropout=0.0)
    loss = losses.build("multi_domain")

    @jax.jit
    def step(params, stems):
        mix, ref = stems.sum(1), Stems(stems, module.transform.forward(stems))

        def objective(params):
            state = {"params": params, "batch_stats": variables["batch_stats"]}
            est, _ = module.apply(state, mix, True, mutable=["batch_stats"])
            return loss(est, ref, mix)[0]

        return jax.value_and_grad(objective)(params)

    value, grads = step(variables["params"], jnp.asarray(stems))
    return float(value), flatten_dict(jax.device_get(grads), sep="/"), info


def main(folder: Path) -> None:
    stems = np.load(folder / "stems.npy")
    value, found, info = ours(folder, stems)
    values = {"ours": value}
    for kind in train_torch.LOSSES:
        values[kind], tensors = theirs(folder, stems, kind)
    wanted = as_ours(info, tensors)["params"]
    largest = max(float(np.abs(leaf).max()) for leaf in wanted.values())
    worst = {}
    for name, leaf in found.items():
        if name in SHIFTS:
            continue
        leaf = leaf * (2 if name.startswith("lstm") and name.endswith("bias") else 1)
        scale = max(float(np.abs(wanted[name]).max()), NOISE * largest)
        worst[name] = float(np.abs(leaf - wanted[name]).max()) / scale
    name = max(worst, key=worst.get)
    print(json.dumps({"loss": values, "gradient": worst[name], "of": name, "all": worst}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
