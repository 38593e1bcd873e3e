"""Demucs and Hybrid Demucs from PyPI against ours, for `parity.py`: stems and gradients.

The original's weights go through a file as its program exports it, in half precision.
"""

from pathlib import Path

import jax
import numpy as np
import torch
from demucs.demucs import Demucs
from demucs.hdemucs import HDemucs
from demucs.states import get_state, load_model
from flax.traverse_util import flatten_dict

from xumx_jax.weights import load
from xumx_jax.weights.converters import KINDS, rules, shapes

SOURCES = ["drums", "bass", "other", "vocals"]
SECOND = {"gelu": False, "norm_starts": 999, "dconv_mode": 0, "lstm_layers": 2}
MAGNITUDES = {"cac": False, "hybrid": False, "wiener_iters": 1, "end_iters": 1}
# Attention adds the bias of its keys to all keys of a query alike, so that it has no gradient.
NO_GRADIENT = "key/bias"


def randomise(model: torch.nn.Module, seed: int) -> None:
    """Draw every weight, so that no default hides a mistake and activations stay of order one."""
    draw = torch.Generator().manual_seed(seed)
    for name, tensor in model.state_dict().items():
        value = torch.randn(tensor.shape, generator=draw)
        if name.endswith(".scale"):  # of residual branches, tiny at first
            value = 0.25 + 0.1 * value
        elif name.endswith("running_var"):
            value = 1 + 0.3 * value.abs()
        elif tensor.ndim > 1:
            value = value / tensor[0].numel() ** 0.5
        elif name.endswith("weight"):  # of normalisations
            value = 1 + 0.3 * value
        else:
            value = 0.3 * value
        tensor.copy_(value)


def exported(path: Path, seed: int, make, **arguments) -> torch.nn.Module:
    """Write a model with random weights as Demucs exports it, and load it with Demucs."""
    model = make(sources=SOURCES, **arguments)
    randomise(model, seed)
    args, kwargs = model._init_args_kwargs
    state = get_state(model, None, half=True)
    torch.save(
        {"klass": make, "args": args, "kwargs": kwargs, "state": state, "training_args": {}}, path
    )
    return load_model(path).eval()


def stems(folder: Path, seed: int, mix: np.ndarray, differ, make, **arguments):
    """Yield (stem, difference) of a network's outputs."""
    path = folder / f"{seed}.th"
    original = exported(path, seed, make, **arguments)
    with torch.no_grad():
        wanted = original(torch.from_numpy(mix)).numpy()
    module, variables, _ = load.load_module(path)
    found = jax.jit(module.apply)(variables, mix).wave
    for number, source in enumerate(module.sources):
        yield f"waveform {source}", differ(found[:, number], wanted[:, number])


def gradients(folder: Path, seed: int, mix: np.ndarray, differ, make, **arguments):
    """Yield (variable, difference) of the gradients of the mean square of all stems.

    The original computes them in double precision: where much cancels, float32 differs from itself.
    """
    path = folder / f"{seed}.th"
    original = exported(path, seed, make, **arguments).double().train()
    original(torch.from_numpy(mix).double()).square().mean().backward()
    theirs = {name: p.grad.float().numpy() for name, p in original.named_parameters()}

    module, variables, info = load.load_module(path)
    kind, args = KINDS[info["kind"]], info["args"]
    shape = shapes(kind.model, args)
    tree = rules.apply(kind.rules(args), theirs, shape, module.sources, 0, kind.ignore)
    wanted = flatten_dict(tree["params"], sep="/")

    @jax.jit
    def step(params):
        return (module.apply({"params": params}, mix, True).wave ** 2).mean()

    for name, value in flatten_dict(jax.grad(step)(variables["params"]), sep="/").items():
        if not name.endswith(NO_GRADIENT):
            two = "lstm" in name and "bias_" in name  # theirs are b_ih and b_hh
            yield f"gradient {name}", differ(value * (2 if two else 1), wanted[name])


# {case: (what is compared, seconds of music, the original, its arguments)}; widths are full, and
# depths as small as they can be with every kind of layer.
CASES = {
    "Hybrid Demucs": (stems, 3.0, HDemucs, {"depth": 5}),
    "Hybrid Demucs, old": (stems, 3.0, HDemucs, {"depth": 5, "hybrid_old": True}),
    "Hybrid Demucs, magnitudes": (stems, 3.0, HDemucs, {"depth": 4, **MAGNITUDES}),
    "Demucs v2": (stems, 3.0, Demucs, {"depth": 4, **SECOND}),
    "Demucs v3": (stems, 3.0, Demucs, {"depth": 5}),
    "Hybrid Demucs, training step": (gradients, 1.0, HDemucs, {"depth": 5}),
}
FULL = {
    "Hybrid Demucs, full": (stems, 10.0, HDemucs, {}),
    "Demucs v2, full": (stems, 10.0, Demucs, SECOND),
    "Demucs v3, full": (stems, 10.0, Demucs, {}),
}
