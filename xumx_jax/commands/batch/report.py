"""What a batch tells: progress bars while it runs, and JSON on what became of each track."""

import json
import platform
import sys
from collections import Counter
from functools import cache
from math import isfinite
from pathlib import Path

from tqdm import tqdm

from xumx_jax import files
from xumx_jax.commands.console import (
    INTERRUPTED,
    SOME_FAILED,
    STDOUT,
    USER_ERROR,
    say,
    say_error,
)
from xumx_jax.errors import UserError
from xumx_jax.weights import pointer

_FILE = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}{postfix}"
_TOTAL = "{desc}: {percentage:3.0f}%|{bar}| {elapsed} < {remaining}"


class Bars:
    """The bars of a batch; `seconds` are the expected lengths of its tracks, 0 if unknown.

    A context manager. Nothing is shown where stderr is no terminal.
    """

    def __init__(self, seconds: list[float]):
        self._usual = max(sum(seconds) / max(1, sum(one > 0 for one in seconds)), 1.0)
        self._seconds = [one or self._usual for one in seconds]
        hidden = None if len(seconds) > 1 else True  # None: where stderr is no terminal
        self._total = _bar(sum(self._seconds), _TOTAL, disable=hidden)
        self._ended = 0
        self._describe()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._total.close()

    def track(self, index, label) -> "TrackBar":
        """A bar for the track with that index, a context manager."""
        return TrackBar(self, self._seconds[index], Path(label).name)

    def advance(self, seconds):
        with tqdm.get_lock():
            self._total.update(seconds)

    def end_track(self):
        with tqdm.get_lock():
            self._ended += 1
            self._describe()

    def _describe(self):
        self._total.set_description_str(f"{self._ended}/{len(self._seconds)} tracks")


class TrackBar:
    """A track's bar: called with the part done, or None if that is not known, and seconds left."""

    def __init__(self, progress, seconds, name):
        self._progress, self._seconds, self._done = progress, seconds, 0.0
        self._bar = _bar(100, _FILE, desc=name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._bar.close()
        self._progress.advance((1 - self._done) * self._seconds)
        self._progress.end_track()

    def __call__(self, fraction, eta):
        if fraction is None:
            self._bar.refresh()
            return
        step, self._done = fraction - self._done, fraction
        if eta is not None:
            self._bar.set_postfix_str(f"{tqdm.format_interval(eta)} left", refresh=False)
        self._bar.update(100 * fraction - self._bar.n)
        self._progress.advance(step * self._seconds)


def _bar(total, form, **more):
    settings = dict(total=total, bar_format=form, leave=False, disable=None, file=sys.stderr)
    return tqdm(**{**settings, **more})


PACKAGES = ("xumx_jax", "jax", "jaxlib", "flax", "numpy", "soundfile", "soxr", "av")
STATES = ("done", "skipped", "failed", "interrupted")


class Report:
    """The report, written at once, so that a bad path fails before hours of work, and at the end.

    Without a path nothing is written; "-" is stdout, at the end. `tracks` are those to be
    separated. A context manager, which writes the report after an error as well; one that prevents
    that as well does not hide the first.
    """

    def __init__(self, path, options: dict, tracks=()):
        self.path, self._printed = path and Path(path), path == STDOUT
        if self.path and not self._printed:
            _check_place(self.path)
        self._entries, self._order = [], {track.label: at for at, track in enumerate(tracks)}
        self.head = {"status": None, "options": options}
        if self.path:
            self.head["versions"] = _versions()
        if not self._printed:
            self.write()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is None:
            return
        status = USER_ERROR if issubclass(kind, UserError) else SOME_FAILED
        if issubclass(kind, KeyboardInterrupt):
            status = getattr(error, "status", INTERRUPTED)
        try:
            self.write(status)
        except UserError as other:
            say("error", other)

    def end(self, status: int) -> int:
        """Write the report of a batch that ended with this exit status, and return it."""
        self.write(status)
        return status

    def models(self, infos, device):
        """Add the models, as `options.load` describes them, and the device."""
        if self.path:
            self.head |= {"models": [_model(info) for info in infos], "device": device}
            if fallback := infos[0].get("fallback"):
                self.head["fallback"] = fallback

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
        content = {**self.head, "status": status, "tracks": tracks}
        text = json.dumps(_finite(content), indent=1, allow_nan=False) + "\n"
        if not self._printed:
            files.write(self.path, text)
            return
        try:
            print(text, end="", flush=True)
        except OSError as error:
            raise UserError(f"stdout: cannot be written: {error.strerror}") from error


def _finite(value):
    """The same with None for numbers that JSON has not got."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not isfinite(value) else value


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
        raise UserError(f"--json {path}: exists and is not a report; use another name")


def _model(info) -> dict:
    known = {key: info[key] for key in ("model", "kind", "origin", "licence") if key in info}
    path = Path(info["path"])
    about = {"name": info["name"], "weight": info["weight"], "path": str(path)}
    return {**about, "sha256": weights_digest(path), **known}


@cache
def weights_digest(path: Path) -> str:
    """SHA-256 of a model's file or folder."""
    return files.digest_of_path(path if path.suffix == ".safetensors" else pointer.follow(path))


def _versions() -> dict[str, str]:
    from xumx_jax.versions import installed

    here = {"python": platform.python_version(), "platform": sys.platform}
    return here | installed(PACKAGES)


def entry_of(track, job) -> dict:
    """The report's entry for a track before anything is done with it."""
    paths = job.paths(track)
    if job.options.out == "-":
        return {"input": track.label, "outputs": dict.fromkeys(paths, "stdout")}
    return {"input": track.label, "outputs": {name: str(path) for name, path in paths.items()}}


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
