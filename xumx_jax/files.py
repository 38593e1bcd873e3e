"""Files that are there whole or not at all."""

import os
from pathlib import Path

from xumx_jax.errors import UserError


def write(path: Path, content: str | bytes) -> None:
    """Replace a file in one step, with its folders; UserError names the file if it cannot be."""
    content = content.encode() if isinstance(content, str) else content
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        # such as /dev/null, which is not to be replaced
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise UserError(f"{path}: cannot be written (it is no file)")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error
