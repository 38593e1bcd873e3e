"""Report the scores of many tracks and methods: JSON, CSV, Markdown and box plots."""

import csv
import functools
import io
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from xumx_jax import files
from xumx_jax.errors import UserError
from xumx_jax.evaluation import plots, tables
from xumx_jax.evaluation.scores import METRICS, TrackScores, median

WHOLE_METRICS = ("uSDR", "SI-SDR")

Methods = Mapping[str, list[TrackScores]]


def summarise(methods: Methods) -> dict:
    """Aggregate the scores of every method over frames and tracks, as JSON values.

    A track's score is the median over its frames and a method's the median over its tracks (the
    mean over tracks is there too); NaN counts in neither, as in museval's EvalStore. For measures
    of whole tracks, the Music Demixing Challenge ranks by the mean over tracks. If the methods have
    different tracks, "common" has the same over the tracks that all have, except for methods that
    have none at all.
    Numbers that do not exist are None.
    """
    targets = list(
        dict.fromkeys(t for tracks in methods.values() for s in tracks for t in s.frames)
    )
    targets.sort(key=tables.SUM.__eq__)
    found = {m for tracks in methods.values() for s in tracks for f in s.frames.values() for m in f}
    whole = {m for tracks in methods.values() for s in tracks for w in s.whole.values() for m in w}
    names = [{scores.track for scores in tracks} for tracks in methods.values() if tracks]
    shared = set.intersection(*names) if names else set()
    common = None
    if any(tracks != shared for tracks in names):
        kept = _restricted(methods, shared) if shared else {}
        common = {
            "tracks": sorted(shared),
            "methods": {method: _method(tracks, targets) for method, tracks in kept.items()},
        }
    return {
        "aggregation": "median over tracks of the median over frames, NaN left out",
        "targets": targets,
        "metrics": [metric for metric in METRICS if metric in found],
        "whole_metrics": [metric for metric in WHOLE_METRICS if metric in whole],
        "averaged_targets": [target for target in targets if target != tables.SUM],
        "methods": {method: _method(tracks, targets) for method, tracks in methods.items()},
        "common": common,
    }


def write_report(folder: str | Path, methods: Methods, protocol: Iterable[str] = ()) -> str:
    """Write scores.json, scores.csv, scores.md and boxplots/ to a folder; return the Markdown.

    `protocol` are sentences on how the scores were made, beyond what is in the scores themselves.
    The plots are over the tracks in common, if there are any.
    Raises UserError if a file cannot be written, or if there is no matplotlib for the plots; then
    everything else has been written.
    """
    folder, protocol = Path(folder), list(protocol)
    summary = {"protocol": protocol, **summarise(methods)}
    text = json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False)
    files.write(folder / "scores.json", text + "\n")
    files.write(folder / "scores.csv", _csv(methods))
    if summary["common"] and summary["common"]["tracks"]:
        methods = _restricted(methods, summary["common"]["tracks"])
    problem, pictures = None, []
    try:
        drawn = [*summary["metrics"], *summary["whole_metrics"]]
        pictures = plots.draw(folder / "boxplots", methods, drawn, summary["targets"])
    except UserError as error:
        problem = error
    for metric in (*METRICS, *WHOLE_METRICS):  # of an earlier report
        if folder / "boxplots" / f"{metric}.png" not in pictures:
            for kind in ("png", "svg"):
                (folder / "boxplots" / f"{metric}.{kind}").unlink(missing_ok=True)
    text = tables.markdown(summary, pictures=[path.relative_to(folder) for path in pictures])
    files.write(folder / "scores.md", text)
    if problem is not None:
        raise problem
    return text


def track_medians(scores: TrackScores, regularised: bool = False) -> dict[str, dict[str, float]]:
    """Median over frames for every target and metric; of `regularised` values if there are any."""
    other = scores.regularised if regularised else {}
    return {
        target: {
            metric: median(other.get(target, {}).get(metric, values))
            for metric, values in metrics.items()
        }
        for target, metrics in scores.frames.items()
    }


def _restricted(methods: Methods, names: Iterable[str]) -> Methods:
    names = set(names)
    return {method: [s for s in tracks if s.track in names] for method, tracks in methods.items()}


def _method(tracks: list[TrackScores], targets: list[str]) -> dict:
    plain = [track_medians(scores) for scores in tracks]
    table = {target: _target(target, tracks, plain) for target in targets}
    table = {target: metrics for target, metrics in table.items() if metrics}
    whole = {}
    for target in targets:
        rows = [scores.whole[target] for scores in tracks if target in scores.whole]
        keys = [metric for metric in WHOLE_METRICS if any(metric in row for row in rows)]
        if keys:
            whole[target] = {k: _over_tracks([row.get(k, math.nan) for row in rows]) for k in keys}
    averaged = [target for target in targets if target != tables.SUM]
    means = {m: _mean_of(table, averaged, m, "median") for m in METRICS}
    means |= {m: _mean_of(whole, averaged, m, "mean") for m in WHOLE_METRICS}
    frames = [_frames(scores) for scores in tracks]
    notes: dict[str, list[str]] = {}
    for scores in tracks:
        for note in scores.notes:
            notes.setdefault(note, []).append(scores.track)
    return {
        "tracks": len(tracks),
        "frames": sum(count for count, _ in frames),
        "frames_without_score": sum(silent for _, silent in frames),
        "windows_and_hops_seconds": sorted({(s.window_seconds, s.hop_seconds) for s in tracks}),
        "protocol": functools.reduce(_shared, [scores.protocol for scores in tracks] or [{}]),
        "targets": table,
        "mean_over_targets": {metric: mean for metric, mean in means.items() if mean is not None},
        "whole": whole,
        "singular_tracks": [scores.track for scores in tracks if scores.singular],
        "regularised": _regularised(tracks),
        "notes": notes,
    }


def _shared(one: dict, other: dict) -> dict:
    """Keep what two protocols have in common; the rest differs from track to track."""
    both = {}
    for key in one.keys() & other.keys():
        if isinstance(one[key], dict) and isinstance(other[key], dict):
            both[key] = _shared(one[key], other[key])
        elif one[key] == other[key]:
            both[key] = one[key]
    return {key: both[key] for key in one if key in both}


def _target(target: str, tracks: list[TrackScores], medians: list[dict]) -> dict:
    metrics = {}
    for metric in METRICS:
        frames = [s.frames[target][metric] for s in tracks if metric in s.frames.get(target, {})]
        if frames:
            values = [row[target][metric] for row in medians if metric in row.get(target, {})]
            metrics[metric] = _over_tracks(values) | {
                "frames": sum(len(values) for values in frames),
                "nan_frames": sum(int(np.isnan(values).sum()) for values in frames),
            }
    return metrics


def _regularised(tracks: list[TrackScores]) -> dict:
    """Like the table of targets, with regularised values for the tracks that have them."""
    medians = [track_medians(scores, regularised=True) for scores in tracks]
    flagged: dict[str, dict] = {}
    for scores in tracks:
        for target, metrics in scores.regularised.items():
            flagged.setdefault(target, {}).update(metrics)
    return {
        target: {
            metric: _over_tracks(
                [m[target][metric] for m in medians if metric in m.get(target, {})]
            )
            for metric in METRICS
            if metric in metrics
        }
        for target, metrics in flagged.items()
    }


def _over_tracks(values: list[float]) -> dict:
    known = np.array([value for value in values if not math.isnan(value)])
    mean = float(known.mean()) if known.size else math.nan
    return {"median": _cut(median(known)), "mean": _cut(mean), "tracks": len(known)}


def _mean_of(table: dict, targets: list[str], metric: str, kind: str) -> float | None:
    values = [table.get(target, {}).get(metric, {}).get(kind) for target in targets]
    return None if len(values) < 2 or None in values else _cut(sum(values) / len(values))


def _cut(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 5)


def _frames(scores: TrackScores) -> tuple[int, int]:
    """Count a track's frames, and those without a score, mostly because a source is silent."""
    firsts = [next(iter(metrics.values())) for metrics in scores.frames.values() if metrics]
    silent = max((int(np.isnan(values).sum()) for values in firsts), default=0)
    return max((len(values) for values in firsts), default=0), silent


def _csv(methods: Methods) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("method", "track", "target", "metric", "value"))
    for method, tracks in methods.items():
        for scores in tracks:
            rows = [(t, m, v) for t, have in track_medians(scores).items() for m, v in have.items()]
            for target, have in scores.regularised.items():
                rows += [(target, f"{m} regularised", median(v)) for m, v in have.items()]
            rows += [(t, m, v) for t, have in scores.whole.items() for m, v in have.items()]
            for target, metric, value in rows:
                number = "" if math.isnan(value) else f"{value:.5f}"
                writer.writerow((method, scores.track, target, metric, number))
    return file.getvalue()
