"""From a split to random access: what fits together, and what has to be left out and why."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipelines.tracks import wav
from pipelines.tracks.folders import lost
from pipelines.tracks.names import MIXTURE
from pipelines.tracks.random_access import Tracks
from pipelines.tracks.split import Split
from pipelines.tracks.track import Clip, Part, Track, whole
from xumx_jax.errors import UserError

SHOWN = 3  # reasons in one message
# Stems of one track may differ by the larger of these (coders pad, editors trim).
TOLERANCE_SECONDS, TOLERANCE_SHARE = 1.0, 0.01


def arrange(root, targets: Sequence[str], known: Iterable[str]):
    """Order sources for a model -> (sources, mixing [target, source]).

    Targets that are sources come first. "accompaniment" is everything but vocals, "rest" everything
    that is no target itself. Raises UserError for any other target, naming the known ones.
    """
    known = tuple(dict.fromkeys(known))
    own = [target for target in targets if target in known]
    sources = (*own, *(name for name in known if name not in own))
    sums = {"rest": {name for name in sources if name not in own}}
    if "vocals" in sources:
        sums["accompaniment"] = set(sources) - {"vocals"}
    rows = []
    for target in targets:
        row = {target} if target in known else sums.get(target)
        if not row:
            more = [name for name, parts in sums.items() if parts and name not in known]
            raise UserError(
                f"{root}: no source {target!r}; known: {', '.join([*known, *more]) or 'none'}"
            )
        rows.append([name in row for name in sources])
    return sources, np.asarray(rows, np.float32)


def listed(value) -> tuple[str, ...]:
    """Split names given as a sequence or as one string with commas."""
    if isinstance(value, str):
        value = [name.strip() for name in value.split(",")]
    return tuple(name for name in value or () if name)


def say(line: str) -> None:
    """Print a message to the user, whatever the program does with its logs."""
    print(f"data: {line}", file=sys.stderr, flush=True)


def open_tracks(
    split: Split, targets: Sequence[str], rate: int, channels: int, known: Iterable[str] = ()
) -> Tracks:
    """Index the files of a split -> random access to its tracks, sources ordered for a model.

    `known` are the sources of another split of the data, which this one must have as well. A track
    is left out if one of its files is missing or damaged, has the wrong rate or channels, or
    differs in length. Raises UserError if there are no tracks, if none is left, or if more than the
    share `max_skipped` was left out.
    """
    folder = split.folder
    if split.clips is not None:
        sources, mixing = arrange(split.root, targets, split.known)
        clips = tuple(split.clips[source] for source in sources)
        return Tracks(
            folder, split.names, sources, mixing, rate, channels, clips,
            aligned=False, skipped=split.skipped, identity=split.identity, scene=split.scene,
        )  # fmt: skip
    if not split.tracks:
        raise UserError(f"{folder}: no tracks; wanted {split.hint}")
    place = split.root if split.known else folder
    sources, mixing = arrange(place, targets, known or split.known_for(targets))
    names, kept, skipped = [], [], []
    for track in split.tracks:
        try:
            kept.append(_open_track(track, sources, rate, channels, split.need_mixture))
            names.append(track.name)
        except UserError as error:
            skipped.append((track.name, str(error)))
    check_skipped(folder, skipped, len(split.tracks), split.max_skipped)
    mixtures = [mixture for _, mixture in kept]
    return Tracks(
        root=folder,
        names=tuple(names),
        sources=sources,
        mixing=mixing,
        rate=rate,
        channels=channels,
        clips=tuple(zip(*(stems for stems, _ in kept), strict=True)),
        # If one track lacks its mixture, all are summed: scores must mean the same for every track.
        mixtures=tuple(mixtures) if all(mixtures) else (),
        skipped=(*split.skipped, *skipped),
        identity=split.identity,
    )


def check_skipped(root, skipped: Sequence[tuple[str, str]], total: int, max_skipped: float) -> None:
    """Print what is left out. Raises UserError if nothing is left, or too much was left out."""
    if not skipped:
        return
    reasons = "; ".join(f"{name} ({why})" for name, why in skipped[:SHOWN])
    if len(skipped) > SHOWN:
        reasons += f"; and {len(skipped) - SHOWN} more"
    if len(skipped) == total or len(skipped) > max_skipped * total:
        raise UserError(
            f"{root}: {len(skipped)} of {total} tracks cannot be used, more than the share "
            f"max_skipped={max_skipped:g} allows: {reasons}"
        )
    say(f"{root}: {len(skipped)} of {total} tracks left out: {reasons}")


def probe(path: Path, rate: int | None, channels: int) -> wav.File:
    """Read a header. Raises UserError if the file does not fit the data set; rate None: any."""
    if (broken := lost(path)) is not None:
        raise UserError(broken.fault)
    return _fitting(wav.probe(path), rate, channels)


def open_clips(clips: Sequence[Clip], rate: int | None, channels: int) -> list[Clip]:
    """Probe the files of a track's clips that have not been probed yet, each once.

    Raises UserError if one does not fit.
    """
    probed = {}

    def opened(part: Part) -> Part:
        if not isinstance(part.file, Path):
            return replace(part, file=_fitting(part.file, rate, channels))
        if part.file not in probed:
            probed[part.file] = probe(part.file, rate, channels)
        return replace(whole(probed[part.file]), sign=part.sign)

    return [tuple(opened(part) for part in clip) for clip in clips]


def _fitting(file, rate: int | None, channels: int):
    if rate is not None and file.rate != rate:
        raise UserError(f"{file.path}: sample rate {file.rate} Hz, wanted {rate} Hz")
    if file.channels not in (1, channels):
        raise UserError(f"{file.path}: {file.channels} channels, wanted {channels} or 1")
    return file


def _open_track(track: Track, sources, rate, channels, need_mixture):
    """Open a track -> (clips of these sources, clip of the mixture, empty if there is none)."""
    if track.fault:
        raise UserError(track.fault)
    if need_mixture and track.mixture is None:
        raise missing(track, MIXTURE)
    for source in sources:
        if source not in track.stems:
            raise missing(track, source)
    listed = [*(track.stems[source] for source in sources), track.mixture or ()]
    *stems, mixture = clips = open_clips(listed, rate, channels)
    parts = {part.file.path: part.file for clip in clips for part in clip}
    # Excerpts were cut on purpose; files that were not probed before should have the same length.
    if not parts or any(isinstance(part.file, Path) for clip in listed for part in clip):
        _check_lengths(list(parts.values()), rate)
    return tuple(stems), mixture


def missing(track: Track, source: str) -> UserError:
    return UserError(f"{track.path / source}.wav: no such file (nor .flac)")


def _check_lengths(files: list[wav.File], rate: int) -> None:
    if not files:
        raise UserError("no audio files")
    *_, long = ordered = sorted(files, key=lambda file: file.samples)
    short = ordered[0]
    if not long.samples:
        raise UserError(f"{long.path}: holds no samples")
    allowed = max(TOLERANCE_SECONDS * rate, TOLERANCE_SHARE * long.samples)
    if long.samples - short.samples > allowed:
        raise UserError(
            f"{short.path}: {short.samples / rate:.2f} s long, {long.path.name} "
            f"{long.samples / rate:.2f} s; wanted stems of one length"
        )
