"""From files to a Set: what belongs together, and what has to be left out and why."""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.tracks import wav
from pipelines.tracks.random_access import Clip, Part, Set
from xumx_jax.errors import UserError

SHOWN = 3  # reasons in one message
# Stems of one track may differ by this much (coders pad, editors trim): the larger of the two.
TOLERANCE_SECONDS, TOLERANCE_SHARE = 1.0, 0.01

# Files to add (1) and to subtract (-1).
Sum = tuple[tuple[Path, int], ...]


@dataclass(frozen=True)
class Track:
    """The files of one track: one sum per source and, where there is one, the mixture."""

    stems: tuple[Sum, ...]
    mixture: Sum | None = None


def arrange(root, targets: Sequence[str], known: Iterable[str]):
    """Order sources for a model -> (sources, mixing [target, source]).

    Targets that are sources come first. "accompaniment" is all but vocals, "rest" all that is no
    target itself. Raises UserError for any other target, naming the known ones.
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


def folder(root) -> Path:
    """The root as a path. Raises UserError if none was given or it is not a folder."""
    if not root:
        raise UserError("no data: give its folder, --config.data.root=FOLDER")
    root = Path(root).expanduser()
    if not root.is_dir():
        raise UserError(f"{root}: not a folder; wanted the root of a data set")
    return root


def splits(root: Path) -> tuple[Path, Path | None]:
    """Find the (training, validation) folders of a data set.

    ROOT/train with ROOT/valid, or else ROOT/test, if they exist; without a train folder ROOT itself
    is the training set and there is no other.
    """
    if not (root / "train").is_dir():
        return root, None
    return root / "train", next((root / n for n in ("valid", "test") if (root / n).is_dir()), None)


def subfolders(root: Path) -> list[str]:
    """Names of the folders in a folder, hidden ones left out, sorted."""
    return sorted(p.name for p in root.iterdir() if p.is_dir() and p.name[0] != ".")


def listed(value) -> tuple[str, ...]:
    """Names given as a sequence or as one string with commas."""
    if isinstance(value, str):
        value = [name.strip() for name in value.split(",")]
    return tuple(name for name in value or () if name)


def say(line: str) -> None:
    """Tell the user, whatever a program does with its logs."""
    print(f"data: {line}", file=sys.stderr, flush=True)


def existing(path: Path) -> Path:
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    return path


def open_set(
    root: Path,
    names: Sequence[str],
    describe: Callable[[str], Track],
    sources: tuple[str, ...],
    mixing: np.ndarray,
    rate: int,
    channels: int,
    max_skipped: float = 0.1,
    hint: str = "folders of stems",
) -> Set:
    """Index the tracks of one split -> Set; `describe` tells the files of a track by its name.

    A track is left out if a file of it is missing or damaged, has another rate or other channels,
    or another length than the others. Raises UserError if there are no tracks or none is left, or
    if more than the share `max_skipped` was left out.
    """
    if not names:
        raise UserError(f"{root}: no tracks; wanted {hint}")
    kept, skipped = {}, []
    for name in names:
        try:
            kept[name] = _probe_track(describe(name), rate, channels)
        except UserError as error:
            skipped.append((name, str(error)))
    judge(root, skipped, len(names), max_skipped)
    stems = tuple(zip(*(stems for stems, _ in kept.values()), strict=True))
    mixtures = [mixture for _, mixture in kept.values()]
    return Set(
        root=root,
        names=tuple(kept),
        sources=sources,
        mixing=mixing,
        rate=rate,
        channels=channels,
        clips=stems,
        # One track without its mixture and all are summed: scores must mean the same for each.
        mixtures=tuple(mixtures) if all(mixtures) else (),
        skipped=tuple(skipped),
    )


def judge(root, skipped: Sequence[tuple[str, str]], total: int, max_skipped: float) -> None:
    """Say what is left out. Raises UserError if nothing is left, or more than a share is out."""
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


def probe(path: Path, rate: int, channels: int) -> wav.File:
    """Read a header. Raises UserError if the file does not fit the data set."""
    file = wav.probe(path)
    if file.rate != rate:
        raise UserError(f"{path}: sample rate {file.rate} Hz, wanted {rate} Hz")
    if file.channels not in (1, channels):
        raise UserError(f"{path}: {file.channels} channels, wanted {channels} or 1")
    return file


def _probe_track(track: Track, rate: int, channels: int) -> tuple[tuple[Clip, ...], Clip]:
    sums = [*track.stems, track.mixture or ()]
    files = {path: probe(path, rate, channels) for parts in sums for path, _ in parts}
    _check_lengths(list(files.values()), rate)
    *stems, mixture = (
        tuple(Part(files[path], sign, 0, files[path].samples) for path, sign in parts)
        for parts in sums
    )
    return tuple(stems), mixture


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
