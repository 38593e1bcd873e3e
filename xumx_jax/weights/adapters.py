"""Low-rank adapters in a file of their own, and the weights that they are added to.

What adapters are: `xumx_jax.training.lora`, whose runs write this file.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jax import lax

from xumx_jax.errors import UserError
from xumx_jax.models import build
from xumx_jax.models.interface import SEPARATING_FIELDS, TRAINING_FIELDS, fields
from xumx_jax.weights import safetensors
from xumx_jax.weights.bag import Bag

FILE = "adapters.safetensors"  # in a workdir, of the best weights


def merged(trained: dict, frozen: dict | None) -> dict:
    """A model's parameters from what is trained and what is left alone; None: all is trained."""
    if frozen is None:
        return trained
    flat: dict[Any, Any] = dict(flatten_dict(frozen["params"]))
    adapters: dict[Any, Any] = dict(flatten_dict(trained["adapters"]))
    for *path, part in adapters:
        if part == "a":
            key = tuple(path)
            a, b = adapters[(*key, "a")], adapters[(*key, "b")]
            flat[key] = flat[key] + frozen["scale"] * _matmul(a, b)
    return unflatten_dict(flat | flatten_dict(trained["full"]))


def _matmul(a: Any, b: Any):
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a @ b  # of a state on the host, where it is saved
    return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)


def write(path: Path, trained: dict, scale, collections: dict, name: str, args: dict) -> None:
    """Write what a run trains of a model, and its other collections, without what it leaves."""
    tree = {**trained, **({"collections": collections} if collections else {})}
    description = {"adapters": {"model": name, "args": args, "scale": float(scale)}}
    safetensors.write(path, tree, description)


def added(path: str | Path, found: Bag) -> Bag:
    """Add the adapters of a file to the weights that they were trained for.

    Raises UserError if the file holds none, or other ones.
    """
    if not Path(path).is_file():
        raise UserError(f"{path}: no such file; wanted the {FILE} of a run")
    description, tree = safetensors.read(Path(path))
    about = description.get("adapters")
    if not isinstance(about, dict) or not {"model", "args", "scale"} <= about.keys():
        raise UserError(f"{path}: holds no adapters; wanted the {FILE} of a run")
    if len(found.members) > 1 or found.only.name != about["model"]:
        names = ", ".join(member.name for member in found.members)
        raise UserError(f"{path}: adapters of one model {about['model']!r}, not of {names}")
    only = found.only
    if unlike := _unlike(only.name, about["args"], only.args):
        raise UserError(f"{path}: adapters of a model with {unlike}")
    base = only.variables["params"]
    trained = {"adapters": tree.get("adapters", {}), "full": tree.get("full", {})}
    if not _fit(trained, base):
        raise UserError(f"{path}: adapters of other arrays than those of the weights")
    params = merged(trained, {"params": base, "scale": np.float32(about["scale"])})
    variables = {**only.variables, **tree.get("collections", {}), "params": params}
    return replace(found, members=(replace(only, variables=variables),))


def _unlike(name: str, theirs: dict, args: dict) -> str:
    """What tells two models of a name apart, as text; "" if nothing does."""
    one, other = build(name, **theirs), build(name, **args)
    found = []
    for key in fields(type(one)):
        a, b = getattr(one, key), getattr(other, key)
        if key not in (*TRAINING_FIELDS, *SEPARATING_FIELDS) and a != b:
            found.append(f"{key} {a}, not {b}")
    return "; ".join(found)


def _fit(trained: dict, base: dict) -> bool:
    """Whether what is trained has its place in the weights."""
    arrays: dict[Any, Any] = dict(flatten_dict(base))
    adapters: dict[Any, Any] = dict(flatten_dict(trained["adapters"]))
    full: dict[Any, Any] = dict(flatten_dict(trained["full"]))
    shapes = {key: np.shape(leaf) for key, leaf in full.items()}
    for *path, part in adapters:
        key = tuple(path)
        a, b = (np.shape(adapters.get((*key, name), 0.0)) for name in "ab")
        if part not in ("a", "b") or a[:-2] != b[:-2] or not a[-1:] == b[-2:-1] != ():
            return False
        shapes[key] = (*a[:-1], b[-1])
    return all(key in arrays and np.shape(arrays[key]) == shape for key, shape in shapes.items())
