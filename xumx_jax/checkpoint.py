"""Weights and training states on disk: Orbax folders with a digest manifest, and `.safetensors`.

Orbax restores flipped bits without a word, so every file of a checkpoint has its SHA-256 in
`checkpoint.json`, and nothing is read that does not match. A checkpoint describes itself: its
description names the model and the arguments that rebuild it.

Orbax is slow to import and only folders need it, so it is imported where it is used.
"""

import hashlib
import json
import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from xumx_jax.errors import UserError

MANIFEST = "checkpoint.json"
STEPS = "checkpoints"  # in a training folder: one checkpoint per epoch, named by its step
HALF_LIMIT = float(np.finfo(np.float16).max)


class CheckpointError(UserError):
    """A checkpoint is missing, incomplete or damaged; the message names the file."""


@dataclass(frozen=True)
class Loaded:
    """A model as stored: `build(name, **args)` makes the module, `variables` are numpy arrays."""

    name: str
    args: dict[str, Any]
    variables: dict
    info: dict[str, Any] = field(default_factory=dict)


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def text_digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def write(folder: str | Path, items: dict[str, Any], description: dict) -> None:
    """Write a checkpoint: one Orbax item per pytree of arrays, and the JSON-able description.

    All or nothing: it is written beside its place and renamed, so `folder` is complete or is what
    it was before.
    """
    import orbax.checkpoint as ocp

    folder = Path(folder).resolve()
    partial = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        with ocp.PyTreeCheckpointer() as checkpointer:
            for name, tree in items.items():
                checkpointer.save(partial / name, jax.device_get(tree))
        files = {
            path.relative_to(partial).as_posix(): digest(path)
            for path in sorted(partial.rglob("*"))
            if path.is_file()
        }
        body = json.loads(json.dumps({"description": description, "files": files}))
        manifest = {**body, "sha256": text_digest(body)}
        (partial / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
        replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def replace(new: Path, place: Path) -> None:
    """Rename a folder to `place`; what was there is removed once it has left."""
    old = new.with_suffix(".old")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.rename(old)
    new.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def manifest_of(folder: Path) -> dict:
    """Read and check the manifest of a checkpoint."""
    path = folder / MANIFEST
    if not path.is_file():
        raise CheckpointError(f"{folder}: not a checkpoint, no {MANIFEST} in it")
    try:
        manifest = json.loads(path.read_text())
        body = {"description": manifest["description"], "files": manifest["files"]}
        intact = manifest["sha256"] == text_digest(body)
    except (ValueError, KeyError, TypeError):
        intact = False
    if not intact:
        raise CheckpointError(f"{path}: damaged, its content does not match its digest")
    return manifest


def verify(folder: Path, under: str = "") -> dict:
    """Compare every file below `under` with its digest and return the manifest."""
    manifest = manifest_of(folder)
    for name, wanted in manifest["files"].items():
        if not name.startswith(under):
            continue
        path = folder / name
        if not path.is_file():
            raise CheckpointError(f"{path}: missing from the checkpoint")
        if digest(path) != wanted:
            raise CheckpointError(f"{path}: damaged, its content does not match its digest")
    return manifest


def describe(folder: str | Path) -> dict:
    """Return the description that a checkpoint was written with."""
    return manifest_of(Path(folder))["description"]


def read(folder: str | Path, item: str, template: Any = None) -> Any:
    """Read one item of a checkpoint as numpy arrays, after checking its files' digests.

    Without `template`, containers come back as dicts and lists; with one (arrays or
    ShapeDtypeStruct) they come back as in the template, each array placed like the template's
    leaf where that has a sharding. Raises CheckpointError, naming the file or the array.
    """
    import orbax.checkpoint as ocp

    folder = Path(folder).resolve()
    files = verify(folder, f"{item}/")["files"]
    if not any(name.startswith(f"{item}/") for name in files):
        items = sorted({name.split("/")[0] for name in files})
        raise CheckpointError(f"{folder}: no item {item!r}, only {', '.join(items)}")
    with ocp.PyTreeCheckpointer() as checkpointer:
        tree = template
        if template is None:
            tree = checkpointer.metadata(folder / item).item_metadata.tree
        as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree)
        try:
            found = checkpointer.restore(folder / item, item=template, restore_args=as_numpy)
        except (ValueError, KeyError, TypeError) as error:
            first = str(error).strip().splitlines()[0]
            raise CheckpointError(f"{folder / item}: does not fit ({first})") from error
    return found if template is None else fit(found, template, folder / item)


def fit(found: Any, template: Any, path: Path) -> Any:
    """Check every array against the template's and place it likewise."""

    def one(key, value, wanted):
        shape, dtype = np.shape(wanted), np.dtype(getattr(wanted, "dtype", type(wanted)))
        if value.shape != shape or value.dtype != dtype:
            raise CheckpointError(
                f"{path}: {jax.tree_util.keystr(key)} is {value.dtype} {value.shape}, "
                f"wanted {dtype} {shape}"
            )
        sharding = getattr(wanted, "sharding", None)
        return value if sharding is None else jax.device_put(value, sharding)

    return jax.tree_util.tree_map_with_path(one, found, template)


def newest(workdir: str | Path) -> Path:
    """Return the newest complete checkpoint of a training folder.

    Damaged and incomplete ones are passed over, each with a line on stderr. Raises CheckpointError
    where none is left.
    """
    steps = Path(workdir) / STEPS
    found = [path for path in steps.glob("[0-9]*") if path.is_dir() and path.name.isdigit()]
    for path in sorted(found, key=lambda path: int(path.name), reverse=True):
        try:
            verify(path)
            return path
        except CheckpointError as error:
            print(f"xumx: skipped a damaged checkpoint: {error}", file=sys.stderr)
    raise CheckpointError(f"{steps}: no complete checkpoint in it")


def save_model(
    path: str | Path,
    name: str,
    args: dict,
    variables: dict,
    info: dict | None = None,
    half: bool = False,
) -> None:
    """Write a model for inference: `.safetensors` by suffix, else an Orbax folder.

    `half` stores float32 as float16 (`.safetensors` only): half the size, read back as float32.
    """
    path = Path(path)
    description = {"name": name, "args": args, "info": info or {}}
    if path.suffix != ".safetensors":
        if half:
            raise UserError(f"{path}: half precision is for .safetensors")
        write(path, {"model": variables}, description)
        return
    tensors = flatten_dict(jax.device_get(variables), sep="/")
    write_safetensors(path, tensors, description, half)


def write_safetensors(path: Path, tensors: dict, description: dict, half: bool) -> None:
    from safetensors.numpy import save

    stored = {}
    for name, tensor in tensors.items():
        tensor = np.ascontiguousarray(tensor)
        if half and tensor.dtype == np.float32:
            if np.abs(tensor).max(initial=0) > HALF_LIMIT:
                raise UserError(f"{path}: {name} holds values above {HALF_LIMIT:g}, half's largest")
            tensor = tensor.astype(np.float16)
        stored[name] = tensor
    description = {**description, "sha256": tensors_digest(stored)}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        # not save_file: that makes files which only their owner can read
        partial.write_bytes(save(stored, {"xumx_jax": json.dumps(description)}))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def tensors_digest(tensors: dict[str, np.ndarray]) -> str:
    state = hashlib.sha256()
    for name in sorted(tensors):
        state.update(f"{name} {tensors[name].dtype} {tensors[name].shape}\n".encode())
        state.update(tensors[name])
    return state.hexdigest()


def load_model(path: str | Path) -> Loaded:
    """Read a model: an Orbax folder, a training folder (its newest checkpoint), or `.safetensors`.

    `info["export"]` overrides arguments of the model, for those that training kept out of it.
    """
    path = Path(path)
    if path.is_dir():
        if not (path / MANIFEST).is_file() and (path / STEPS).is_dir():
            path = newest(path)
        description, variables = describe(path), read(path, "model")
    elif path.is_file():
        description, variables = read_safetensors(path)
    else:
        raise CheckpointError(f"{path}: no such file or folder")
    try:
        name, info = description["name"], dict(description["info"])
        args = {**description["args"], **info.get("export", {})}
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: its description names no model") from error
    args = {key: tuple(v) if isinstance(v, list) else v for key, v in args.items()}
    return Loaded(name, args, variables, info)


def is_ours(path: str | Path) -> bool:
    """Say whether a `.safetensors` file describes a model of ours."""
    return "xumx_jax" in (safetensors_metadata(Path(path)) or {})


def safetensors_metadata(path: Path) -> dict | None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            return file.metadata()
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: cannot be read, cut off or damaged ({error})") from error


def read_safetensors(path: Path) -> tuple[dict, dict]:
    """Return description and variables, float16 as float32."""
    from safetensors.numpy import load_file

    text = (safetensors_metadata(path) or {}).get("xumx_jax")
    if text is None:
        raise CheckpointError(f"{path}: holds no description of a model")
    description, tensors = json.loads(text), load_file(path)
    if description.get("sha256") != tensors_digest(tensors):
        raise CheckpointError(f"{path}: damaged, its content does not match its digest")
    variables = {
        name: tensor.astype(np.float32) if tensor.dtype == np.float16 else tensor
        for name, tensor in tensors.items()
    }
    return description, unflatten_dict(variables, sep="/")
