"""The report of a batch as JSON: what was used, and what became of each track."""

import hashlib
import json
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from xumx_jax.evaluation import files

PACKAGES = ("xumx_jax", "jax", "jaxlib", "flax", "numpy", "soundfile", "soxr", "av")


class Report:
    """Write FILE now, so that one that cannot be written is known before hours of work, and later.

    Without a path nothing is written. Tracks are dictionaries in `tracks`.
    """

    def __init__(self, path, options: dict):
        self.path, self.tracks = path and Path(path), []
        self.head = {"status": None, "options": options, "versions": _versions()}
        self.write()

    def model(self, name, info, device):
        if self.path:
            known = {
                key: info[key] for key in ("model", "kind", "origin", "licence") if key in info
            }
            path = Path(info["path"])
            self.head["model"] = {"name": name, "path": str(path), "sha256": digest(path), **known}
            self.head["device"] = device

    def write(self, status=None):
        if not self.path:
            return
        content = json.dumps({**self.head, "status": status, "tracks": self.tracks}, indent=1)
        files.write(self.path, content + "\n")


def digest(path: Path) -> str:
    """SHA-256 of a file; of a folder, that of its files' names and digests."""
    from xumx_jax import checkpoint  # which brings Orbax along

    if path.is_file():
        return checkpoint.digest(path)
    whole = hashlib.sha256()
    for folder, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            file = Path(folder, name)
            whole.update(
                f"{file.relative_to(path).as_posix()} {checkpoint.digest(file)}\n".encode()
            )
    return whole.hexdigest()


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "platform": sys.platform}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # run from a folder, not installed
            continue
    return found
