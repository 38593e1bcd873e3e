"""The scores of one track, and their file: museval's JSON, which published tools read.

Files of museval itself are read too, from any version, including those of SiSEC 2018. What has no
place in museval's form is stored under the key "xumx_jax", which other readers ignore.
"""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from xumx_jax import files
from xumx_jax.errors import UserError

METRICS = ("SDR", "ISR", "SIR", "SAR")
FILE_ORDER = ("SDR", "SIR", "SAR", "ISR")  # museval's
FILE_VERSION = "0.4.1"  # of museval, whose form and meaning our files follow
DECIMALS = 5

Frames = dict[str, dict[str, np.ndarray]]


@dataclasses.dataclass
class TrackScores:
    """The scores of one program on one track, in dB.

    `frames` holds an array [frame] for every target and every metric that was computed, `whole` one
    number for "uSDR" and "SI-SDR" if they were computed. `regularised` is like `frames`, and only
    filled if the references were singular: then the ISR, SIR and SAR in `frames` cannot be
    reproduced, but these can. `protocol` says what produced the scores, in JSON values; it is empty
    for files of other programs. `notes` are sentences for the report.

    Numbers are held as museval writes them, rounded to 5 decimals and NaN for infinity, so that a
    report is the same whether the scores were computed or read back.
    """

    track: str
    frames: Frames
    window_seconds: float = 1.0
    hop_seconds: float = 1.0
    whole: dict[str, dict[str, float]] = dataclasses.field(default_factory=dict)
    protocol: dict = dataclasses.field(default_factory=dict)
    notes: list[str] = dataclasses.field(default_factory=list)
    regularised: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        self.frames, self.regularised = (
            {
                target: {metric: _rounded(values) for metric, values in metrics.items()}
                for target, metrics in table.items()
            }
            for table in (self.frames, self.regularised)
        )
        self.window_seconds, self.hop_seconds = float(self.window_seconds), float(self.hop_seconds)
        self.whole = {
            target: {metric: float(_rounded(value)) for metric, value in metrics.items()}
            for target, metrics in self.whole.items()
        }
        for target in self.frames:
            self.count(target)
        for target, metrics in self.regularised.items():
            lengths = {len(values) for values in metrics.values()} | {self.count(target)}
            if len(lengths) > 1:
                raise ValueError(f"{target!r} has {sorted(lengths)} frames, wanted one number")

    @property
    def singular(self) -> bool:
        """Whether the references did not determine the filters of ISR, SIR and SAR well enough."""
        return bool(self.regularised)

    def count(self, target: str) -> int:
        """Count the frames of a target; raises ValueError if its metrics disagree."""
        lengths = {len(values) for values in self.frames.get(target, {}).values()} or {0}
        if len(lengths) > 1:
            raise ValueError(f"{target!r} has {sorted(lengths)} frames, wanted one number")
        return lengths.pop()

    def save(self, path: str | Path) -> None:
        """Write museval's JSON; metrics not computed are NaN, since its readers expect them all."""
        targets = []
        for name, metrics in self.frames.items():
            missing = np.full(self.count(name), np.nan)
            rows = zip(*(metrics.get(key, missing).tolist() for key in FILE_ORDER), strict=True)
            frames = [
                {
                    "time": index * self.hop_seconds,
                    "duration": self.window_seconds,
                    "metrics": dict(zip(FILE_ORDER, row, strict=True)),
                }
                for index, row in enumerate(rows)
            ]
            targets.append({"name": name, "frames": frames})
        regularised = {
            target: {metric: values.tolist() for metric, values in metrics.items()}
            for target, metrics in self.regularised.items()
        }
        ours = {
            "protocol": self.protocol,
            "notes": self.notes,
            "metrics": [m for m in METRICS if any(m in have for have in self.frames.values())],
            "hop_seconds": self.hop_seconds,
            "whole": self.whole,
            "regularised": regularised,
        }
        content = {"targets": targets, "museval_version": FILE_VERSION, "xumx_jax": ours}
        files.write(Path(path), json.dumps(content, indent=2, ensure_ascii=False))

    @classmethod
    def load(cls, path: str | Path) -> "TrackScores":
        """Read a score file of ours or of museval. Raises UserError naming the file."""
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror})") from error
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: not text, wanted a score file of museval") from error
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UserError(
                f"{path}: not JSON ({error}), wanted a score file of museval"
            ) from error
        try:
            return _parse(path.stem, content)
        except ValueError as error:
            raise UserError(f"{path}: {error}") from error


def median(values: np.ndarray) -> float:
    """Median of the values that are not NaN; NaN if there are none."""
    values = np.asarray(values, np.float64)
    values = values[~np.isnan(values)]
    return float(np.median(values)) if values.size else math.nan


def read_folder(folder: str | Path, subset: str = "test") -> list[TrackScores]:
    """Read folder/<subset>/**/*.json, the scores of one method, in the order of their tracks."""
    place = Path(folder) / subset
    if not place.is_dir():
        raise UserError(f"{folder}: wanted a folder {subset!r} with score files in it")
    paths: dict[str, Path] = {}
    for path in sorted(place.glob("**/*.json")):
        if files.hidden(path.name):  # as macOS leaves beside the files it packs
            continue
        if path.stem in paths:
            raise UserError(f"{path}: the same track as {paths[path.stem]}, wanted one file each")
        paths[path.stem] = path
    if not paths:
        raise UserError(f"{place}: holds no score file, wanted museval's TRACK.json")
    return [TrackScores.load(paths[track]) for track in sorted(paths)]


def read_methods(path: str | Path, subset: str = "test") -> dict[str, list[TrackScores]]:
    """Read one method's folder, which has <subset>, or a folder of such folders -> by name."""
    path = Path(path)
    if not path.is_dir():
        raise UserError(f"{path}: no such folder of scores")
    if (path / subset).is_dir():
        return {path.resolve().name: read_folder(path, subset)}
    folders = sorted((f for f in path.iterdir() if (f / subset).is_dir()), key=lambda f: f.name)
    if not folders:
        raise UserError(f"{path}: wanted {subset}/TRACK.json or METHOD/{subset}/TRACK.json in it")
    return {folder.name: read_folder(folder, subset) for folder in folders}


def _rounded(values) -> np.ndarray:
    # Python's round, not NumPy's: exact in the last decimal, as museval's decimal numbers are
    values = np.asarray(values, np.float64)
    rounded = [
        round(v, DECIMALS) if math.isfinite(v) else math.nan for v in values.ravel().tolist()
    ]
    return np.array(rounded, np.float64).reshape(values.shape)


def _parse(track: str, content) -> TrackScores:
    content = _want(content, dict, "an object with a list 'targets'")
    entries = _want(content.get("targets"), list, "a list 'targets'")
    ours = _want(content.get("xumx_jax", {}), dict, "an object 'xumx_jax'")
    computed = _want(ours.get("metrics", list(METRICS)), list, "a list of metrics")
    frames: Frames = {}
    window_seconds = hop_seconds = None
    for entry in entries:
        name = _want(_want(entry, dict, "objects in 'targets'").get("name"), str, "a target's name")
        if name in frames:
            raise ValueError(f"the target {name!r} appears twice, wanted once")
        rows = _want(entry.get("frames"), list, f"a list 'frames' of {name!r}")
        rows = [_want(row, dict, f"objects in the frames of {name!r}") for row in rows]
        values = [
            _want(row.get("metrics"), dict, f"'metrics' in a frame of {name!r}") for row in rows
        ]
        frames[name] = {
            metric: np.array(
                [_number(have.get(metric), f"{metric} of {name!r}") for have in values], np.float64
            )
            for metric in METRICS
            if metric in computed and any(metric in have for have in values)
        }
        # frames are alike, so the first tells their length and the first two their distance
        if rows and window_seconds is None:
            window_seconds = _number(rows[0].get("duration", 1.0), "a frame's duration")
        if len(rows) > 1 and hop_seconds is None:
            first, second = (_number(row.get("time"), "a frame's time") for row in rows[:2])
            hop_seconds = second - first
    window_seconds = 1.0 if window_seconds is None else window_seconds
    hop_seconds = window_seconds if hop_seconds is None else hop_seconds
    hop_seconds = _number(ours.get("hop_seconds", hop_seconds), "'hop_seconds'")
    if not (window_seconds > 0 and hop_seconds > 0):
        raise ValueError(f"frames of {window_seconds} s every {hop_seconds} s, wanted more than 0")
    regularised = _tables(ours.get("regularised", {}), "'regularised'")
    return TrackScores(
        track=track,
        frames=frames,
        window_seconds=window_seconds,
        hop_seconds=hop_seconds,
        whole={
            target: {key: _number(value, f"{key} of {target!r}") for key, value in have.items()}
            for target, have in _tables(ours.get("whole", {}), "'whole'").items()
        },
        protocol=_want(ours.get("protocol", {}), dict, "an object 'protocol'"),
        notes=[_want(n, str, "sentences") for n in _want(ours.get("notes", []), list, "'notes'")],
        regularised={
            target: {
                key: [_number(v, f"{key} of {target!r}") for v in _want(values, list, "a list")]
                for key, values in have.items()
            }
            for target, have in regularised.items()
        },
    )


def _tables(content, wanted: str) -> dict[str, dict]:
    content = _want(content, dict, f"an object {wanted}")
    return {key: _want(have, dict, f"objects in {wanted}") for key, have in content.items()}


def _want(content, kind: type, wanted: str):
    if not isinstance(content, kind):
        raise ValueError(f"wanted {wanted}, found {type(content).__name__}")
    return content


def _number(content, name: str) -> float:
    if content is None:  # not computed, or how some programs write NaN
        return math.nan
    if isinstance(content, bool) or not isinstance(content, int | float):
        raise ValueError(f"wanted a number as {name}, found {json.dumps(content)[:40]}")
    try:
        return float(content)
    except OverflowError:
        return math.nan
