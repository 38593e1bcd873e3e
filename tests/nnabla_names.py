"""Our trees under NNabla's names and shapes, to compare gradients, statistics and updates."""

import re

import numpy as np

LAYERS = {"fc1": ("enc", "dense", "norm"), "fc2": ("dec", "dense_0", "norm_0")}
LAYERS["fc3"] = ("dec", "dense_1", "norm_1")
NORM = {"gamma": "scale", "beta": "bias", "mean": "mean", "var": "var"}


def theirs(name: str, params: dict, batch_stats: dict, sources: tuple[str, ...]) -> np.ndarray:
    """The tensor that NNabla calls `name`, in its own shape, from our parameters or gradients."""
    if found := re.fullmatch(r"(input|output)_(mean|scale)_(.+)", name):
        part = "enc" if found[1] == "input" else "dec"
        return np.asarray(params[part][found[2]][sources.index(found[3])])
    if found := re.fullmatch(r"(fc\d)_(.+)/affine/W", name):
        part, dense, _ = LAYERS[found[1]]
        return np.asarray(params[part][dense]["kernel"][sources.index(found[2])])
    if found := re.fullmatch(r"(fc\d)_(.+)/bn/(.+)", name):
        part, _, norm = LAYERS[found[1]]
        tree = params if found[3] in ("gamma", "beta") else batch_stats
        value = tree[part][norm][NORM[found[3]]][sources.index(found[2])]
        return np.asarray(value)[None, None]
    source, kind = re.fullmatch(r"lstm_(.+)/lstm/(.+)", name).groups()
    index = sources.index(source)
    count = sum(key.startswith("lstm_") for key in params)
    layers = [
        {k: np.asarray(v[index]) for k, v in params[f"lstm_{n}"].items()} for n in range(count)
    ]
    if kind == "bias":
        return np.stack([gates_first(layer["bias"][:, None])[..., 0] for layer in layers])
    joined = [
        np.concatenate([gates_first(layer["w_ih"]), gates_first(layer["w_hh"])], axis=-1)
        for layer in layers
    ]
    return joined[0] if kind == "weight_l0" else np.stack(joined[1:])


def gates_first(weight: np.ndarray) -> np.ndarray:
    """[direction, input, gate * hidden] -> [direction, gate, hidden, input]."""
    directions, inputs, _ = weight.shape
    return weight.reshape(directions, inputs, 4, -1).transpose(0, 2, 3, 1)
