"""How scores were made, and whether those of an earlier run may be kept."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from pipelines.evaluation.scoring import FILTER_LENGTH, Settings
from pipelines.evaluation.systems import System
from pipelines.tracks.split import Split
from pipelines.tracks.track import Track
from xumx_jax.errors import UserError
from xumx_jax.evaluation.scores import TrackScores
from xumx_jax.files import hidden
from xumx_jax.versions import own

AGGREGATION = "median over frames, then median over tracks"
VERSIONS = ("program", "jax")
SHA256 = 64  # digits
# Recorded, but not compared: a newer version may continue the run of an older one, and a system is
# identified by its digest rather than its label.
RECORDED = (*VERSIONS, "model")
KINDS = {
    "stems": "STEMS, decoded to floating point",
    "wav": "WAV",
    "folder": "folders of stems, the mixture being their sum",
}


def describe(system: System, data: Split, track: Track, wanted: Settings) -> dict:
    """What produces the scores of one track by one system, as JSON values."""
    import jax

    return {
        "model": system.label,
        **_common(system, wanted),
        "precision": wanted.precision if wanted.full else "float64",
        "aggregation": AGGREGATION,
        **origin(system, data, track),
        "program": f"xumx_jax {own()}",
        "jax": jax.__version__,
    }


def _common(system: System, wanted: Settings) -> dict:
    """What the scores of all tracks share, as far as it is known before any track is opened."""
    return {
        "metrics": list(wanted.metrics),
        "targets": list(system.targets),
        "window_seconds": wanted.window_seconds,
        "hop_seconds": wanted.hop_seconds,
        "filter_length": FILTER_LENGTH if wanted.full else None,
        "options": system.options,
        # of estimates that are there already, each track has its own
        **({"digest": system.digest} if system.digest else {"model": system.label}),
    }


def origin(system: System, data: Split, track: Track) -> dict:
    """What produces the estimates of one track: the system, and the music."""
    return {
        "digest": system.digest_of(data, track),
        "options": system.options,
        "data": {"kind": data.kind, "subset": data.subset, "sha256": track.digest},
    }


def finished(path: Path, wanted: dict) -> TrackScores | None:
    """Read existing scores if they have this protocol; None if there are none.

    Raises UserError naming the difference if they have another: they would be lost, or mixed with
    those of this run.
    """
    if not path.is_file():
        return None
    found = TrackScores.load(path)
    if not found.protocol:
        raise _stale(path, "was written by another program")
    for key, value in wanted.items():
        if key not in RECORDED and found.protocol.get(key) != value:
            raise _stale(path, f"has {key} {_brief(found.protocol.get(key))}, not {_brief(value)}")
    return found


def check_strangers(folder: Path, tracks: Sequence[Track], system: System, wanted: Settings):
    """Raise UserError if a folder has scores of another protocol for tracks not in this run."""
    chosen = {track.name for track in tracks}
    for path in sorted(folder.glob("*.json")):
        if path.stem in chosen or hidden(path.name):
            continue
        found = TrackScores.load(path).protocol
        for key, value in _common(system, wanted).items():
            if found.get(key) != value:
                raise UserError(
                    f"{path}: has {key} {_brief(found.get(key))}, not {_brief(value)}, and is not "
                    "among the tracks of this run; use another --evaldir"
                )


def for_report(scores: TrackScores, system: System) -> TrackScores:
    """The same scores, with the part of their protocol that `sentences` does not state.

    What differs from track to track is left out as well: it is in the tracks' files.
    """
    made_by = system.digest or f"estimates in {system.name}"
    return _brief_protocol(scores, made_by, system.options)


def of_another_run(scores: TrackScores) -> TrackScores:
    """The same for scores that were read; those of other programs unchanged."""
    protocol = scores.protocol
    if not protocol:
        return scores
    return _brief_protocol(scores, protocol.get("digest", ""), protocol.get("options", {}))


def _brief_protocol(scores: TrackScores, made_by: str, options: dict) -> TrackScores:
    kept = {
        "made by": made_by if len(made_by) != SHA256 else f"sha256 {made_by[:12]}...",
        **{name: value for name, value in options.items() if value is not None},
        **{key: scores.protocol.get(key) for key in VERSIONS},
    }
    return dataclasses.replace(scores, protocol=kept)


def sentences(data: Split, tracks: Sequence[Track], wanted: Settings, failed) -> list[str]:
    """What a report says about how its scores were made."""
    if wanted.full:
        lines = [
            "Protocol: BSSEval v4 of museval 0.4.1 (images; distortion filters of "
            f"{FILTER_LENGTH} taps, one set for the track), computed in {wanted.precision}."
        ]
    elif "SDR" in wanted.metrics:
        lines = ["Protocol: the SDR of BSSEval v4 (museval 0.4.1), which needs no filters."]
    else:
        lines = []
    if "uSDR" in wanted.metrics:
        lines.append(
            "uSDR: energy ratio over the whole track, the global SDR of the Music and Sound "
            "Demixing Challenges."
        )
    if "SI-SDR" in wanted.metrics:
        lines.append("SI-SDR: the same with the best gain, channels together, no mean removed.")
    kind = KINDS.get(data.kind, f"the data set {data.kind}")
    lines.append(
        f"Data: {kind}, subset {data.subset}, {len(tracks)} of its {len(data.tracks)} tracks."
    )
    if failed:
        lines.append(f"Not scored, for reasons printed during the run: {', '.join(failed)}.")
    return lines


def _stale(path: Path, why: str) -> UserError:
    return UserError(f"{path}: {why}; use --overwrite, or another --evaldir")


def _brief(value) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."
