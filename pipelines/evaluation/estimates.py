"""Estimates on disk: FOLDER/<target>.wav, and beside ours a record of what made them."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pipelines.evaluation.song import Song, readable
from pipelines.evaluation.waves import Waves
from pipelines.tracks import folders, wav
from pipelines.tracks.names import ACCOMPANIMENT
from pipelines.tracks.track import whole
from xumx_jax import files
from xumx_jax.errors import UserError

ORIGIN = "origin.json"


def save(
    folder: Path,
    targets: Sequence[str],
    write: Callable[[dict[str, Path]], None],
    origin: dict | None,
) -> None:
    """Let `write({target: file})` write all of them or none, as float32 WAV.

    `origin` (JSON values) is stored beside them, finally with their digests, so files that differ
    from it were not written by the run that it describes. Files of earlier runs are removed.
    Raises UserError naming the file that cannot be written.
    """
    note = folder / ORIGIN
    paths = {target: folder / f"{target}.wav" for target in targets}
    if origin is not None:
        earlier = set(_digests(note)) - {path.name for path in paths.values()}
        files.write(note, json.dumps({**origin, "files": {}}, indent=1))  # whose, if it ends here
        for name in earlier:
            (folder / name).unlink(missing_ok=True)
    write(paths)
    if origin is None:
        return
    for path in paths.values():
        files.flush(path)
    digests = {path.name: files.digest(path) for path in paths.values()}
    files.write(note, json.dumps({**origin, "files": digests}, indent=1))


def _digests(note: Path) -> dict[str, str]:
    try:
        found = json.loads(note.read_text())["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    names = found if isinstance(found, dict) else {}
    return {name: names[name] for name in names if files.safe_name(name, "")}


def foreign(folder: Path, targets: Sequence[str]) -> bool:
    """Return whether a folder holds estimates of these targets that `save` did not write."""
    return not (folder / ORIGIN).exists() and any((folder / f"{t}.wav").exists() for t in targets)


def belong(folder: Path, targets: Sequence[str], origin: dict, look_inside: bool = True) -> bool:
    """Return whether a folder holds these targets' estimates as `save` wrote them for this origin.

    `look_inside` compares the files' digests, which takes about a second per GB; without it, the
    files only need to exist.
    """
    try:
        found = json.loads((folder / ORIGIN).read_text())
        digests = found.pop("files")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    if not isinstance(digests, dict) or found != json.loads(json.dumps(origin)):
        return False
    for name in (f"{target}.wav" for target in targets):
        path = folder / name
        if name not in digests or not path.is_file():
            return False
        if look_inside and files.digest(path) != digests[name]:
            return False
    return True


def place(root: Path, subset: str, track: str) -> Path:
    """The folder of a track's estimates: ROOT/<subset>/<track>, or ROOT/<track>."""
    inner = root / subset / track
    return inner if inner.is_dir() else root / track


def find(folder: Path, targets: Sequence[str], parts) -> dict[str, list[Path]]:
    """Find the files that add up to each target; an accompaniment may be the sum of its parts.

    `parts(target)` names them. Raises UserError naming the estimates that are missing.
    """
    found, missing = {}, []
    for target in targets:
        own = folders.find_stem(folder, target)
        names = parts(target) if target == ACCOMPANIMENT and own is None else (target,)
        paths = {name: folders.find_stem(folder, name) for name in names}
        missing += [name for name, path in paths.items() if path is None]
        found[target] = list(paths.values())
    if missing:
        names = ", ".join(f"{name}.wav" for name in dict.fromkeys(missing))
        raise UserError(
            f"{folder}: no estimate {names} (nor .flac); wanted one for each of "
            f"{', '.join(targets)}, or fewer --targets"
        )
    return found


def open_waves(found: Mapping[str, Sequence[Path]], song: Song) -> tuple[Waves, list[str]]:
    """Open estimates as long as the song -> ([target, channel, time], notes).

    As in museval, longer ones are cut and shorter ones padded with silence, as the notes say.
    Raises UserError if a file is damaged, or has another rate or more channels than the song.
    """
    sums, notes = [], []
    for paths in found.values():
        opened = [wav.probe(readable(path, song.scratch / "given", song.check)) for path in paths]
        for file in opened:
            if file.rate != song.rate:
                raise UserError(
                    f"{file.path}: sample rate {file.rate} Hz, wanted the track's {song.rate} Hz"
                )
            if file.channels not in (1, song.channels):
                raise UserError(
                    f"{file.path}: {file.channels} channels, wanted the track's {song.channels}"
                )
            if file.samples != song.samples:
                done = "cut" if file.samples > song.samples else "padded with silence"
                notes.append(
                    f"{file.path.name} has {file.samples} samples, the track {song.samples}; "
                    f"it was {done}, as museval does"
                )
            if file.channels < song.channels:
                notes.append(f"{file.path.name} is mono, the track is not; it went to both sides")
        sums.append([whole(file) for file in opened])
    return Waves(sums, song.channels, song.samples, song.check), notes
