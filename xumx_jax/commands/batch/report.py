"""The report on a batch as JSON: what was used, and what became of each track."""

import json
import platform
import sys
from collections import Counter
from pathlib import Path

from xumx_jax import files
from xumx_jax.commands.console import say_error
from xumx_jax.errors import UserError
from xumx_jax.weights import pointer

PACKAGES = ("xumx_jax", "jax", "jaxlib", "flax", "numpy", "soundfile", "soxr", "av")
STATES = ("done", "skipped", "failed", "interrupted")


class Report:
    """The report, written at once, so that a bad path fails before hours of work, and at the end.

    Without a path nothing is written. `tracks` are those to be separated.
    """

    def __init__(self, path, options: dict, tracks=()):
        self.path = path and Path(path)
        if self.path:
            _check_place(self.path)
        self._entries, self._order = [], {track.label: at for at, track in enumerate(tracks)}
        self.head = {"status": None, "options": options}
        if self.path:
            self.head["versions"] = _versions()
        self.write()

    def models(self, infos, device):
        """Add the models, as `options.load` describes them, and the device."""
        if self.path:
            self.head |= {"models": [_model(info) for info in infos], "device": device}

    def add(self, entry: dict):
        """Add what became of a track: "input" (its name in messages), "status" and more."""
        self._entries.append(entry)

    def some_failed(self) -> bool:
        return any(entry["status"] == "failed" for entry in self._entries)

    def summary(self, time) -> str:
        """Summarise all tracks in one line."""
        counts = Counter(entry["status"] for entry in self._entries)
        seconds = sum(entry.get("seconds", 0.0) for entry in self._entries)
        states = ", ".join(f"{counts[name]} {name}" for name in STATES if counts[name])
        return f"{states}: {seconds:.1f} s of music in {time}"

    def write(self, status=None):
        """Write what is known so far, tracks in the order of the command line."""
        if not self.path:
            return
        tracks = sorted(self._entries, key=lambda entry: self._order.get(entry["input"], -1))
        content = json.dumps({**self.head, "status": status, "tracks": tracks}, indent=1)
        files.write(self.path, content + "\n")


def _check_place(path):
    """Raise UserError for a file that a report must not replace: `--json *.wav` names a track."""
    try:
        if not path.is_file():
            return
        with path.open("rb") as file:
            begin = file.read(1)
    except OSError:  # writing it will raise the error
        return
    if begin not in (b"", b"{"):
        raise UserError(f"--json {path}: exists and is not a report; wanted another name")


def _model(info) -> dict:
    known = {key: info[key] for key in ("model", "kind", "origin", "licence") if key in info}
    path = Path(info["path"])
    return {
        "name": info["name"],
        "weight": info["weight"],
        "path": str(path),
        "sha256": files.digest_of_path(pointer.follow(path)),
        **known,
    }


def _versions() -> dict[str, str]:
    from xumx_jax.versions import installed

    here = {"python": platform.python_version(), "platform": sys.platform}
    return here | installed(PACKAGES)


def failed(report: Report, entry: dict, error: BaseException, debug: bool):
    """Print one line for a track that failed, or an input without tracks, and report it."""
    label = entry["input"]
    report.add({**entry, "status": "failed", "error": " ".join(str(error).split())})
    say_error(error, debug, f"{label}: " if label else "")


def relabelled(error, track):
    """The same error, with the user's name for the file in place of a temporary one."""
    if isinstance(error, UserError):
        text = str(error).replace(str(track.path), track.label)
        return UserError(text).with_traceback(error.__traceback__)
    return error
