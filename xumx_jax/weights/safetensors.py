"""One model in one `.safetensors` file, which describes itself and contains its own digest."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from xumx_jax import files
from xumx_jax.errors import CheckpointError, UserError

FORMAT = 1


def _from_0(part: str, content: dict) -> dict:
    """Format 0 had no number. Its training states kept `batch_stats` and two counters by name."""
    if part != "optimizer":
        return content
    content = dict(content)
    if "batch_stats" in content:
        content["collections"] = {"batch_stats": content.pop("batch_stats")}
    names = [name for name in ("skipped", "in_row") if name in content]
    return content | {"counters": {name: content.pop(name) for name in names}}


# {number: (part, content) -> content of the next number}; a part is "description" or the name of
# an item of a checkpoint, whose containers are dicts and lists.
MIGRATIONS = {0: _from_0}


def migrated(path: Path, number: Any, part: str, content: Any) -> Any:
    """Bring a part of what `path` holds up to FORMAT.

    Raises CheckpointError if a later version of this package wrote it.
    """
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise CheckpointError(f"{path}: its format is {number!r}, wanted a number")
    if number > FORMAT:
        raise CheckpointError(
            f"{path}: has format {number}, and this version of xumx_jax reads up to {FORMAT}; "
            f"install a newer one"
        )
    for step in range(number, FORMAT):
        content = MIGRATIONS[step](part, content)
    return content


HALF_LIMIT = float(np.finfo(np.float16).max)


def write(path: Path, variables: dict, description: dict, half: bool = False) -> None:
    """Write variables as tensors called "a/b/c"; `half` stores float32 as float16."""
    from safetensors.numpy import save

    tensors = flatten_dict(jax.device_get(variables), sep="/")
    stored = {}
    for name, tensor in tensors.items():
        tensor = np.ascontiguousarray(tensor)
        if half and tensor.dtype == np.float32:
            if np.abs(tensor).max(initial=0) > HALF_LIMIT:
                raise UserError(
                    f"{path}: {name} holds values above {HALF_LIMIT:g}, float16's largest"
                )
            tensor = tensor.astype(np.float16)
        stored[name] = tensor
    description = {**description, "format": FORMAT, "sha256": tensors_digest(stored)}
    with files.replacing(path) as partial:
        # not save_file: it makes files that only their owner can read
        partial.write_bytes(save(stored, {"xumx_jax": json.dumps(description)}))


def tensors_digest(tensors: Mapping[str, Any]) -> str:
    return files.digest_of(
        part
        for name in sorted(tensors)
        for part in (f"{name} {tensors[name].dtype} {tensors[name].shape}\n", tensors[name])
    )


def is_ours(path: str | Path) -> bool:
    """Return whether a `.safetensors` file describes a model of ours."""
    return "xumx_jax" in (metadata(Path(path)) or {})


def metadata(path: Path) -> dict | None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            return file.metadata()
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: cannot be read, cut off or damaged ({error})") from error


def read(path: Path) -> tuple[dict, dict]:
    """Read a file -> (description, variables), float16 as float32."""
    from safetensors.numpy import load_file

    text = (metadata(path) or {}).get("xumx_jax")
    if text is None:
        raise CheckpointError(f"{path}: holds no description of a model")
    try:
        description, tensors = dict(json.loads(text)), load_file(path)
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{path}: its description is damaged ({error})") from error
    if description.get("sha256") != tensors_digest(tensors):
        raise CheckpointError(f"{path}: damaged, its content does not match its digest")
    variables = {
        name: tensor.astype(np.float32) if tensor.dtype == np.float16 else tensor
        for name, tensor in tensors.items()
    }
    number = description.pop("format", 0)
    return migrated(path, number, "description", description), unflatten_dict(variables, sep="/")
