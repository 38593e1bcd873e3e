"""The record beside a track's stems: of which music, by which models and with which options.

It is a small JSON file in the folder of the stems, without any path that ends when the folder is
moved, and is written last. Stems are skipped or replaced only where it proves that they are the
very ones that would be made.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
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


@dataclass(frozen=True)
class Record:
    """What stems are of. Two records are of the same stems if input, models and options are equal.

    input     SHA-256 of the file that was separated
    models    {"name", "sha256", "weight"} of each
    options   those that differ from their defaults
    name      of the input file
    fallback  the model that was wanted, where the bundled one replaced it; else ""
    stems     {file: its size in bytes}
    """

    input: str
    models: tuple[Mapping[str, Any], ...]
    options: Mapping[str, Any]
    name: str = ""
    fallback: str = ""
    stems: Mapping[str, int] = field(default_factory=dict)

    def same_settings(self, other: "Record") -> bool:
        """Whether models and options are those of another record; models by what is in them."""

        def used(record):
            return [(model["sha256"], model["weight"]) for model in record.models]

        return used(self) == used(other) and self.options == other.options


def read(folder: Path) -> Record | None:
    """Read the record in a folder; None if there is none, or none that can be used."""
    try:
        content = json.loads((folder / FILE).read_text())
        if content["format"] > FORMAT:
            return None
        stems = {Path(name).name: int(size) for name, size in content["stems"].items()}
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
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write(folder: Path, record: Record, names: Iterable[str]) -> None:
    """Record that the files `names` in a folder are the stems of `record`.

    Stems of the same settings that are there stay recorded; stems of others are removed, since
    these replace them. Raises UserError naming the file that cannot be written.
    """
    path = folder / FILE
    try:
        with files.locked(folder):
            before = read(folder)
            stems = {name: (folder / name).stat().st_size for name in names}
            if before and before.input == record.input and before.same_settings(record):
                stems = {**before.stems, **stems}
            elif before:
                for name in before.stems.keys() - stems.keys():
                    if _unchanged(folder, name, before):
                        files.remove_quietly(folder / name)
            content = {
                "format": FORMAT,
                "input": {"name": record.name, "sha256": record.input},
                "models": [dict(model) for model in record.models],
                "options": dict(record.options),
                **({"fallback": record.fallback} if record.fallback else {}),
                "stems": dict(sorted(stems.items())),
            }
            with files.replacing(path, durable=False) as partial:
                partial.write_text(json.dumps(content, indent=1) + "\n")
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from error


def look(folder: Path, names: Iterable[str], wanted: Callable[[], Record]) -> str:
    """What a folder holds, if the files `names` in it are to be the stems of `wanted()`.

    FREE, FINISHED (all are there) or what would be lost. `wanted` is called only where something
    is there, because the digest of a long file takes a while.
    """
    names = tuple(names)
    before = read(folder)
    if before is None:
        return UNKNOWN if any(_size(folder / name) for name in names) else FREE
    if not any(_size(folder / name) for name in before.stems):
        return FREE
    record = wanted()
    if before.input != record.input:
        return OTHER_MUSIC
    if not before.same_settings(record):
        poor = before.fallback and replace(before, models=record.models).same_settings(record)
        return FREE if poor else OTHER_SETTINGS
    if any(_size(folder / name) and not _unchanged(folder, name, before) for name in names):
        return CHANGED
    return FINISHED if all(_unchanged(folder, name, before) for name in names) else FREE


def find_place(
    folder: Path,
    parent: str,
    names: Iterable[str],
    wanted: Callable[[], Record],
    free: Callable[[Path], bool],
) -> tuple[Path, str, str]:
    """Find where a track's stems can go -> (folder, FREE or FINISHED, what is at `folder`).

    That is `folder`, if nothing there would be lost, or else the first of its name with `parent`
    in front (for other music) or with a number that is possible, and that is `free()` of other
    tracks.
    """
    found = first = look(folder, names, wanted)
    for place in _others(folder, parent if first == OTHER_MUSIC else ""):
        if found in (FREE, FINISHED):
            break
        folder = place
        found = look(folder, names, wanted) if free(folder) else OTHER_MUSIC
    return folder, found, first


def _others(folder: Path, parent: str) -> Iterator[Path]:
    if parent:
        yield folder.with_name(files.shortened(f"{parent}_{folder.name}"))
    for number in count(2):
        yield folder.with_name(f"{files.shortened(folder.name)}_{number}")


def _unchanged(folder: Path, name: str, record: Record) -> bool:
    size = _size(folder / name)
    return size > 0 and size == record.stems.get(name)


def _size(path: Path) -> int:
    """The size of a file in bytes, 0 if there is none."""
    with suppress(OSError):
        return path.stat().st_size if path.is_file() else 0
    return 0
