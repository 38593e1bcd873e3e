"""The record beside a track's stems: of which music, by which models and with which options.

It is a small JSON file in the folder of the stems, without any path that ends when the folder is
moved. Stems are skipped or replaced only where it proves that they are the very ones that would be
made.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

from xumx_jax import files
from xumx_jax.errors import UserError

FILE, FORMAT = ".separation.json", 1
# What may be in a folder: nothing that would be lost, or whose stems
FREE, FINISHED = "free", "finished"
OTHER_MUSIC = "stems of other music"
OTHER_SETTINGS = "its stems by another model or with other options"
UNKNOWN = "stems of unknown origin"
CHANGED = "stems that were changed"
# What a stem's file is known by; the rest is how it is made
_FOUND = ("bytes", "changed", "sha256", "etag")


@dataclass(frozen=True)
class Record:
    """What stems are of. Two records are of the same stems if input, models and options are equal.

    input     SHA-256 of the file that was separated; in a store, `stores.StoredFile.identity`
    models    {"name", "sha256", "weight"} of each
    options   those that differ from their defaults
    name      of the input file
    fallback  the model that was wanted, where the bundled one replaced it; else ""
    stems     {file: how it is made: {"of": {source: factor}, "bits", "bitrate"}}; of stems that are
              there also "bytes", "changed" (time in ns) and "sha256"
    """

    input: str
    models: tuple[Mapping[str, Any], ...]
    options: Mapping[str, Any]
    name: str = ""
    fallback: str = ""
    stems: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def same_settings(self, other: "Record") -> bool:
        """Whether models and options are those of another record; models by what is in them."""

        def used(record):
            return [(model["sha256"], model["weight"]) for model in record.models]

        return used(self) == used(other) and self.options == other.options


def read(folder: Path) -> Record | None:
    """Read the record in a folder; None if there is none, or none that can be used."""
    try:
        return parse((folder / FILE).read_text())
    except (OSError, ValueError):
        return None


def parse(text: str | bytes) -> Record | None:
    """Read the text of a record; None if it cannot be used."""
    try:
        content = json.loads(text)
        if content["format"] > FORMAT:
            return None
        stems = {Path(name).name: dict(stem) for name, stem in content["stems"].items()}
        for stem in stems.values():
            stem["bytes"] = int(stem["bytes"])
        return Record(
            str(content["input"]["sha256"]),
            tuple(
                {"name": one["name"], "sha256": one["sha256"], "weight": one["weight"]}
                for one in content["models"]
            ),
            dict(content["options"]),
            str(content["input"]["name"]),
            str(content.get("fallback", "")),
            stems,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    except (ArithmeticError, RecursionError):  # infinite sizes; brackets within brackets
        return None


@contextmanager
def renaming(paths: Iterable[Path], record: Record | None) -> Iterator[None]:
    """Keep records true while stems get their names within this context, in locked folders.

    With a `record` of these stems it is written, and there is none meanwhile: should the process be
    killed, what is there is of unknown origin. Stems of the same settings that are there stay
    recorded; unchanged ones of others, which these replace, are removed. Without a record the stems
    are taken out of those that are there. Raises UserError naming the file that cannot be written.
    """
    places: dict[Path, list[str]] = {}
    for path in paths:
        places.setdefault(path.parent, []).append(path.name)
    before = {folder: read(folder) for folder in places}
    for folder, names in places.items():
        if (old := before[folder]) is not None:
            left = {name: stem for name, stem in old.stems.items() if name not in names}
            files.remove_quietly(folder / FILE)
            if record is None and left:
                _write(folder, replace(old, stems=left))
    yield
    if record is None:
        return
    for folder, names in places.items():
        stems = {name: {**record.stems[name], **known_by(folder / name)} for name in names}
        if (old := before[folder]) is not None:
            if old.input == record.input and old.same_settings(record):
                stems = {**old.stems, **stems}
            for name in old.stems.keys() - stems.keys():
                if _unchanged(folder, name, old):
                    files.remove_quietly(folder / name)
        _write(folder, replace(record, stems=stems))


def text_of(record: Record) -> str:
    """What `parse` reads."""
    content = {
        "format": FORMAT,
        "input": {"name": record.name, "sha256": record.input},
        "models": [dict(model) for model in record.models],
        "options": dict(record.options),
        **({"fallback": record.fallback} if record.fallback else {}),
        "stems": {name: dict(stem) for name, stem in sorted(record.stems.items())},
    }
    return json.dumps(content, indent=1) + "\n"


def _write(folder: Path, record: Record) -> None:
    path = folder / FILE
    try:
        with files.replacing(path, durable=False) as partial:
            partial.write_text(text_of(record))
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from error


def look(folder: Path, stems: Mapping[str, Mapping[str, Any]], wanted: Callable[[], Record]) -> str:
    """What a folder holds where `stems` of `wanted()` are to be: {file: how it is made}.

    FREE, FINISHED (all are there) or what would be lost. `wanted` is called only where something
    is there, because the digest of a long file takes a while.
    """
    before, there = read(folder), {name for name in stems if _size(folder / name)}
    if before is None or not any(_size(folder / name) for name in before.stems):
        return UNKNOWN if there else FREE
    record = wanted()
    if before.input != record.input:
        return OTHER_MUSIC
    if not all(_unchanged(folder, name, before) for name in there):
        return CHANGED
    if not before.same_settings(record):
        # the model that was wanted then; all that the bundled one has made is replaced
        better = before.fallback in {model["name"] for model in record.models}
        better = better and replace(before, models=record.models).same_settings(record)
        return FREE if better and before.stems.keys() <= stems.keys() else OTHER_SETTINGS
    for name in there:
        if made_as(before.stems[name]) != stems[name]:
            return OTHER_SETTINGS
    return FINISHED if there == set(stems) else FREE


def made_as(stem: Mapping[str, Any]) -> dict[str, Any]:
    """How a stem is made, of what a record says about it."""
    return {key: one for key, one in stem.items() if key not in _FOUND}


def find_place(
    folder: Path,
    parent: str,
    stems: Mapping[str, Mapping[str, Any]],
    wanted: Callable[[], Record],
    free: Callable[[Path], bool],
) -> tuple[Path, str, str]:
    """Find where a track's stems can go -> (folder, FREE or FINISHED, what is at `folder`).

    That is `folder`, if nothing there would be lost, or else the first of its name with `parent`
    in front (for other music) or with a number that is possible, and that is `free()` of other
    tracks.
    """
    found = first = look(folder, stems, wanted)
    for place in _others(folder, parent if first == OTHER_MUSIC else ""):
        if found in (FREE, FINISHED):
            break
        folder = place
        found = look(folder, stems, wanted) if free(folder) else OTHER_MUSIC
    return folder, found, first


def _others(folder: Path, parent: str) -> Iterator[Path]:
    if parent:
        yield folder.with_name(files.shortened(f"{parent}_{folder.name}"))
    for number in count(2):
        yield folder.with_name(f"{files.shortened(folder.name)}_{number}")


def known_by(path: Path) -> dict[str, Any]:
    """What a stem's file is known by."""
    status = path.stat()
    return {
        "bytes": status.st_size,
        "changed": status.st_mtime_ns,
        "sha256": files.digest(path),
    }


def _unchanged(folder: Path, name: str, record: Record) -> bool:
    """Whether a file is as it was recorded: its size, and its time or else its content."""
    path, stem = folder / name, record.stems.get(name)
    if stem is None or _size(path) != stem["bytes"] or not stem["bytes"]:
        return False
    with suppress(OSError):
        return path.stat().st_mtime_ns == stem.get("changed") or (
            files.digest(path) == stem.get("sha256")
        )
    return False


def _size(path: Path) -> int:
    """The size of a file in bytes, 0 if there is none."""
    with suppress(OSError):
        return path.stat().st_size if path.is_file() else 0
    return 0
