"""From a name or a path to a model that can separate, whatever format its weights have."""

import os
from pathlib import Path
from typing import Any

from flax import linen as nn

from xumx_jax.errors import UserError
from xumx_jax.models import build
from xumx_jax.weights import converters, pointer, safetensors, store, zoo
from xumx_jax.weights.converters import openunmix, readers
from xumx_jax.weights.store import Loaded


def resolve(name_or_path: str | Path | None) -> Path:
    """Return the file or folder meant: what is there under that path, else a name of the zoo."""
    if name_or_path is None or name_or_path in zoo.names():
        return zoo.find(name_or_path)
    path = Path(name_or_path)
    if os.path.exists(path):  # unlike path.exists(), no error where a name is too long
        return path
    if path.suffix in readers.SUFFIXES or len(path.parts) > 1:
        raise UserError(f"{path}: no such file or folder; {readers.WANTED}")
    return zoo.find(str(name_or_path))


def load_weights(path: str | Path, kind: str | None = None) -> Loaded:
    """Read a model from an Orbax folder, our `.safetensors`, or another program's weights.

    Those are a file, or a folder of one file a target as Open-Unmix has it.
    `kind` (of `converters.KINDS`) says which program's, None looks at the tensors' names.
    """
    path = Path(path)
    if openunmix.is_folder(path):
        return converters.convert(openunmix.read(path), kind)
    if (
        path.is_dir()
        or pointer.is_pointer(path)
        or (path.suffix == ".safetensors" and safetensors.is_ours(path))
    ):
        return store.load_model(path)
    return converters.convert(openunmix.read(path), kind)


def load_module(name_or_path: str | Path | None = None) -> tuple[nn.Module, dict, dict[str, Any]]:
    """Return a linen module, its variables (numpy) and what is known about them.

    `info` has "model" and "args" (what `build` was called with), "path", and what the file tells:
    "kind", "origin", "licence", "score". None loads the published weights, or the bundled model
    where they can't be had. Raises UserError with one line.
    """
    path = resolve(name_or_path)
    loaded = load_weights(path)
    module = build(loaded.name, **loaded.args)
    info = {**loaded.info, "model": loaded.name, "args": loaded.args, "path": str(path)}
    if path == zoo.DEMO_FILE:
        info.setdefault("licence", zoo.DEMO_LICENCE)
    return module, loaded.variables, info


def check_place(target: Path) -> None:
    """Raise UserError unless a checkpoint can become `target`: one is replaced, nothing else."""
    if not target.exists() or (target / store.MANIFEST).is_file():
        return
    if not target.is_dir() or any(target.iterdir()):
        raise UserError(f"{target}: is there and is no checkpoint; wanted a new folder")


def convert(
    source: str | Path, target: str | Path, kind: str | None = None, half: bool = False
) -> Loaded:
    """Write any weights that `load` takes as an Orbax folder, or as `.safetensors` by suffix.

    `half` stores float16 (`.safetensors` only). Returns what was written.
    """
    target = Path(target)
    if target.suffix in readers.SUFFIXES and target.suffix != ".safetensors":
        raise UserError(f"{target}: can't write {target.suffix}; wanted a folder or .safetensors")
    path = resolve(source)
    if path.resolve() == target.resolve():
        raise UserError(f"{target}: source and target are the same")
    if target.suffix != ".safetensors":
        check_place(target)
    loaded = load_weights(path, kind)
    try:
        store.save_model(target, loaded.name, loaded.args, loaded.variables, loaded.info, half)
    except OSError as error:
        raise UserError(f"{target}: cannot be written ({error})") from error
    return loaded
