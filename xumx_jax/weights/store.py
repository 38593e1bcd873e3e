"""Weights and training states on disk: Orbax folders with a digest manifest.

Orbax restores flipped bits without an error, so every file of a checkpoint has its SHA-256 in
`checkpoint.json`, and a file that does not match is never read. A checkpoint describes itself: its
description names the model and the arguments that rebuild it.

Orbax is slow to import and only folders need it, so it is imported where it is used.
"""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np

from xumx_jax import files
from xumx_jax.errors import CheckpointError
from xumx_jax.weights import pointer
from xumx_jax.weights.safetensors import FORMAT, migrated

LOG = logging.getLogger(__name__)
MANIFEST = "checkpoint.json"
STEPS = "checkpoints"  # in a training folder: checkpoints, each named by its step


def write(folder: str | Path, items: dict[str, Any], description: dict) -> None:
    """Write a checkpoint: one Orbax item per pytree of arrays, and the JSON-able description.

    All or nothing, even if the machine loses power: it is written to a temporary folder, flushed to
    the disk and renamed, so `folder` is complete or unchanged. Only the calling process writes,
    however many there are. Raises CheckpointError if the disk has no room.
    """
    folder = Path(folder).resolve()
    items = jax.device_get(items)
    try:
        with files.replacing_folder(folder) as partial:
            room_for(items, partial)
            save_arrays(partial, items)
            digests = {
                path.relative_to(partial).as_posix(): files.digest(path)
                for path in sorted(partial.rglob("*"))
                if path.is_file()
            }
            body = {"format": FORMAT, "description": description, "files": digests}
            body = json.loads(json.dumps(body))  # as it will be read
            manifest = {**body, "sha256": files.digest_of_value(body)}
            (partial / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
    except OSError as error:
        raise CheckpointError(f"{folder}: cannot be written ({error.strerror or error})") from error


def save_arrays(folder: Path, items: dict[str, Any]) -> None:
    """Write each pytree as an Orbax item. Raises OSError if the system refuses."""
    try:
        with saver() as checkpointer:
            for name, tree in items.items():
                checkpointer.save(folder / name, tree)
    except (ValueError, RuntimeError) as error:  # as tensorstore reports what the system refused
        raise OSError(str(error).strip().splitlines()[0]) from error


def saver():
    """An Orbax checkpointer that does not wait for other processes."""
    import orbax.checkpoint as ocp

    alone = ocp.options.MultiprocessingOptions(
        primary_host=jax.process_index(),
        active_processes={jax.process_index()},
        barrier_sync_key_prefix=f"process{jax.process_index()}",
    )
    handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=alone)
    return ocp.Checkpointer(handler, multiprocessing_options=alone)


def room_for(items: dict[str, Any], folder: Path) -> None:
    """Raise CheckpointError unless the disk has room for the uncompressed arrays and a bit more."""
    needed = sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves(items)) + 2**20
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise CheckpointError(
            f"{folder.parent}: no room for a checkpoint, {needed} bytes are needed, {free} are free"
        )


def manifest_of(folder: Path) -> dict:
    """Read and check the manifest of a checkpoint."""
    path = folder / MANIFEST
    if not path.is_file():
        raise CheckpointError(f"{folder}: not a checkpoint, no {MANIFEST} in it")
    try:
        manifest = json.loads(path.read_text())
        body = {key: value for key, value in manifest.items() if key != "sha256"}
        intact = manifest["sha256"] == files.digest_of_value(body)
        intact = intact and {"description", "files"} <= set(body)
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
            found = files.digest(path)
        except OSError as error:  # a bad sector
            raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from error
        if found != wanted:
            raise CheckpointError(f"{path}: damaged, its content does not match its digest")
    return manifest


def describe(folder: str | Path) -> dict:
    """Return the description that a checkpoint was written with."""
    folder = pointer.follow(Path(folder))
    manifest = manifest_of(folder)
    return migrated(folder, manifest.get("format", 0), "description", manifest["description"])


def read(folder: str | Path, item: str, template: Any = None, check: bool = True) -> Any:
    """Read one item of a checkpoint as numpy arrays, after checking its files' digests.

    Without `template`, containers are restored as dicts and lists; with one (arrays or
    ShapeDtypeStruct) they are restored as in the template, each array placed like the template's
    leaf if that has a sharding. `check` False trusts a folder that was just verified. Raises
    CheckpointError naming the file or the array.
    """
    import orbax.checkpoint as ocp

    folder = pointer.follow(Path(folder)).resolve()
    manifest = verify(folder, f"{item}/") if check else manifest_of(folder)
    if not any(name.startswith(f"{item}/") for name in manifest["files"]):
        items = sorted({name.split("/")[0] for name in manifest["files"]})
        raise CheckpointError(f"{folder}: no item {item!r}, only {', '.join(items)}")
    with saver() as checkpointer:
        known = checkpointer.metadata(folder / item).item_metadata
        if known is None:  # Orbax has logged why
            raise CheckpointError(f"{folder / item}: is damaged: its metadata cannot be read")
        stored = known.tree
        as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), stored)
        try:
            found = checkpointer.restore(
                folder / item, args=ocp.args.PyTreeRestore(stored, restore_args=as_numpy)
            )
        except (ValueError, KeyError, TypeError) as error:
            first = str(error).strip().splitlines()[0]
            raise CheckpointError(f"{folder / item}: does not fit ({first})") from error
    found = migrated(folder, manifest.get("format", 0), item, found)
    return found if template is None else fit(found, template, folder / item)


def fit(found: Any, template: Any, path: Path) -> Any:
    """Put arrays into a template's containers, each checked and placed as the template's is.

    They are matched by their paths: in a checkpoint all containers are dicts and lists.
    """
    theirs = {names(key): leaf for key, leaf in jax.tree_util.tree_leaves_with_path(found)}

    def one(key, wanted):
        value = theirs.pop(names(key), None)
        if value is None:
            raise CheckpointError(f"{path}: does not fit (no {jax.tree_util.keystr(key)} in it)")
        shape, dtype = np.shape(wanted), np.dtype(getattr(wanted, "dtype", type(wanted)))
        if value.shape != shape or value.dtype != dtype:
            raise CheckpointError(
                f"{path}: {jax.tree_util.keystr(key)} is {value.dtype} {value.shape}, "
                f"wanted {dtype} {shape}"
            )
        sharding = getattr(wanted, "sharding", None)
        return value if sharding is None else jax.device_put(value, sharding)

    fitted = jax.tree_util.tree_map_with_path(one, template)
    if theirs:
        raise CheckpointError(f"{path}: does not fit ({'/'.join(next(iter(theirs)))} has no place)")
    return fitted


def names(path: tuple) -> tuple[str, ...]:
    """The path of a leaf, whatever its containers are: dicts, tuples, named tuples, dataclasses."""
    return tuple(jax.tree_util.keystr((step,), simple=True) for step in path)


def newest(workdir: str | Path) -> Path:
    """Return the newest complete checkpoint of a training folder.

    Damaged and incomplete ones are skipped, each with a warning in the log. Raises CheckpointError
    if none is left.
    """
    steps = Path(workdir) / STEPS
    found = [path for path in steps.glob("[0-9]*") if path.is_dir() and path.name.isdigit()]
    for path in sorted(found, key=lambda path: int(path.name), reverse=True):
        try:
            with pointer.reading(lambda path=path: path):
                verify(path)
            return path
        except CheckpointError as error:
            if path.exists():  # else the run that writes here has removed it
                LOG.warning("skipped a damaged checkpoint: %s", error)
    raise CheckpointError(f"{steps}: no complete checkpoint in it")


def checkpoint_of(path: Path) -> Path:
    """The checkpoint in `folder`: the newest of a training folder, or what a pointer names."""
    if not (path / MANIFEST).is_file() and (path / STEPS).is_dir():
        return newest(path)
    return pointer.follow(path)
