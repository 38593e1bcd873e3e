"""The format number of our checkpoints and `.safetensors`, and the migration of older ones.

A change to what is stored raises FORMAT by one and adds a function from the old form to the new one
to MIGRATIONS, so that old files can always be read.
"""

from pathlib import Path
from typing import Any

from xumx_jax.errors import CheckpointError

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
