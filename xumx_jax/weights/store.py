"""Weights and training states on disk: Orbax folders with a digest manifest.

Orbax restores flipped bits without a word, so every file of a checkpoint has its SHA-256 in
`checkpoint.json`, and nothing is read that does not match. A checkpoint describes itself: its
description names the model and the arguments that rebuild it.

Orbax is slow to import and only folders need it, so it is imported where it is used.
"""

import hashlib
import json
import logging
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np

from xumx_jax.errors import CheckpointError, UserError
from xumx_jax.weights import safetensors

MANIFEST = "checkpoint.json"
STEPS = "checkpoints"  # in a training folder: checkpoints, each named by its step
PARTIAL, OLD = ".partial-", ".old"  # what is being written, what is being replaced


@dataclass(frozen=True)
class Member:
    """A model as stored: `build(name, **args)` makes the module, `variables` are numpy arrays."""

    name: str
    args: dict[str, Any]
    variables: dict
    info: dict[str, Any] = field(default_factory=dict)


def digest(path: Path, flush: bool = False) -> str:
    """SHA-256 of a file; with `flush`, the file has reached the disk afterwards."""
    with path.open("rb") as file:
        if flush:
            os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()


def text_digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def write(folder: str | Path, items: dict[str, Any], description: dict) -> None:
    """Write a checkpoint: one Orbax item per pytree of arrays, and the JSON-able description.

    All or nothing, also for a machine that loses power: it is written beside its place, handed to
    the disk and renamed, so `folder` is complete or is what it was before. Only the calling process
    writes, however many there are. Raises CheckpointError where the disk has no room.
    """
    folder = Path(folder).resolve()
    items = jax.device_get(items)
    partial = folder.with_name(f".{folder.name}{PARTIAL}{os.getpid()}")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        room_for(items, partial)
        with saver() as checkpointer:
            for name, tree in items.items():
                checkpointer.save(partial / name, tree)
        files = {
            path.relative_to(partial).as_posix(): digest(path, flush=True)
            for path in sorted(partial.rglob("*"))
            if path.is_file()
        }
        body = json.loads(json.dumps({"description": description, "files": files}))
        manifest = {**body, "sha256": text_digest(body)}
        path = partial / MANIFEST
        path.write_text(json.dumps(manifest, indent=1) + "\n")
        digest(path, flush=True)
        for place in [*partial.rglob("*/"), partial]:
            flush_folder(place)
        replace(partial, folder)
    except OSError as error:
        raise CheckpointError(f"{folder}: cannot be written ({error.strerror or error})") from error
    except CheckpointError:
        raise
    except (ValueError, RuntimeError) as error:  # as tensorstore reports what the system refused
        first = str(error).strip().splitlines()[0]
        raise CheckpointError(f"{folder}: cannot be written ({first})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def saver():
    """An Orbax checkpointer that waits for no other process."""
    import orbax.checkpoint as ocp

    alone = ocp.options.MultiprocessingOptions(
        primary_host=jax.process_index(),
        active_processes={jax.process_index()},
        barrier_sync_key_prefix=f"process{jax.process_index()}",
    )
    handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=alone)
    return ocp.Checkpointer(handler, multiprocessing_options=alone)


def room_for(items: dict[str, Any], folder: Path) -> None:
    """Raise CheckpointError unless the disk has room for the arrays, uncompressed, and a little."""
    needed = sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves(items)) + 2**20
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise CheckpointError(
            f"{folder.parent}: no room for a checkpoint, {needed} bytes are needed, {free} free"
        )


def replace(new: Path, place: Path) -> None:
    """Rename a folder to `place`; what was there is removed once it has left."""
    old = place.with_name(f".{place.name}{OLD}")
    if place.exists():
        shutil.rmtree(old, ignore_errors=True)
        place.rename(old)
    try:
        new.rename(place)
    except OSError:
        if old.exists():
            old.rename(place)
        raise
    flush_folder(place.parent)
    shutil.rmtree(old, ignore_errors=True)


def flush_folder(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def tidy(folder: Path) -> None:
    """Undo what a killed process left in a folder of checkpoints; nobody may be writing there."""
    for path in folder.glob(f".*{PARTIAL}*"):
        shutil.rmtree(path, ignore_errors=True)
    for old in folder.glob(f".*{OLD}"):
        place = old.with_name(old.name[1 : -len(OLD)])
        if place.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:  # killed between the two renames
            old.rename(place)


def manifest_of(folder: Path) -> dict:
    """Read and check the manifest of a checkpoint."""
    path = folder / MANIFEST
    if not path.is_file():
        raise CheckpointError(f"{folder}: not a checkpoint, no {MANIFEST} in it")
    try:
        manifest = json.loads(path.read_text())
        body = {"description": manifest["description"], "files": manifest["files"]}
        intact = manifest["sha256"] == text_digest(body)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from error
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
        try:
            found = digest(path)
        except OSError as error:  # a bad sector
            raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from error
        if found != wanted:
            raise CheckpointError(f"{path}: damaged, its content does not match its digest")
    return manifest


def describe(folder: str | Path) -> dict:
    """Return the description that a checkpoint was written with."""
    return manifest_of(Path(folder))["description"]


def read(folder: str | Path, item: str, template: Any = None, check: bool = True) -> Any:
    """Read one item of a checkpoint as numpy arrays, after checking its files' digests.

    Without `template`, containers come back as dicts and lists; with one (arrays or
    ShapeDtypeStruct) they come back as in the template, each array placed like the template's
    leaf where that has a sharding. `check` False trusts a folder that was just verified. Raises
    CheckpointError, naming the file or the array.
    """
    import orbax.checkpoint as ocp

    folder = Path(folder).resolve()
    files = (verify(folder, f"{item}/") if check else manifest_of(folder))["files"]
    if not any(name.startswith(f"{item}/") for name in files):
        items = sorted({name.split("/")[0] for name in files})
        raise CheckpointError(f"{folder}: no item {item!r}, only {', '.join(items)}")
    with saver() as checkpointer:
        tree = template
        if template is None:
            tree = checkpointer.metadata(folder / item).item_metadata.tree
        as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree)
        try:
            found = checkpointer.restore(
                folder / item, args=ocp.args.PyTreeRestore(template, restore_args=as_numpy)
            )
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
            logging.getLogger(__name__).warning("skipped a damaged checkpoint: %s", error)
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
    safetensors.write(path, variables, description, half)


def load_model(path: str | Path) -> Member:
    """Read a model: an Orbax folder, a training folder (its newest checkpoint), or `.safetensors`.

    `info["export"]` overrides arguments of the model, for those that training kept out of it.
    """
    path = Path(path)
    if path.is_dir():
        if not (path / MANIFEST).is_file() and (path / STEPS).is_dir():
            path = newest(path)
        description, variables = describe(path), read(path, "model")
    elif path.is_file():
        description, variables = safetensors.read(path)
    else:
        raise CheckpointError(f"{path}: no such file or folder")
    try:
        name, info = description["name"], dict(description["info"])
        args = {**description["args"], **info.get("export", {})}
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: its description names no model") from error
    args = {key: tuple(v) if isinstance(v, list) else v for key, v in args.items()}
    return Member(name, args, variables, info)
