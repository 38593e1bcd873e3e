"""Bags of models as Demucs describes them: a `.yaml` that names models and weighs their stems.

    models: ['0d19c1c6', '7ecf8ec1']
    weights: [[1., 1., 0., 0.], [0., 1., 0., 0.]]
    segment: 44

The files of the models lie beside it: `<name>.safetensors`, `<name>.th`, or `<name>-<start of its
SHA-256>.th`. One row of weights per model has a number for each of its sources; without weights,
all are equal.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from xumx_jax import files
from xumx_jax.errors import UserError
from xumx_jax.weights.converters import yamlfile
from xumx_jax.weights.converters.readers import DAMAGE

SUFFIXES = (".yaml", ".yml")
KEYS = ("models", "weights", "segment")
WANTED = (
    "wanted a bag of Demucs: models: ['name', ...], and perhaps weights: [[number, ...], ...] "
    "and segment: seconds"
)


@dataclass(frozen=True)
class BagFile:
    """What a description says.

    files    of the models, each once
    weights  for each file its row of numbers, or one number for all its sources
    segment  seconds of a chunk; None: as each model says
    """

    files: tuple[Path, ...]
    weights: tuple[tuple[float, ...] | float, ...]
    segment: float | None

    @property
    def info(self) -> dict[str, Any]:
        """What a kind's `arguments` gets to know."""
        return {} if self.segment is None else {"settings": {"seconds": self.segment}}

    def by_source(self, sources: Sequence[str]) -> list[dict[str, float]]:
        """The weights of each file, {source: number}."""
        found = []
        for row in self.weights:
            full = row if isinstance(row, tuple) else (row,) * len(sources)
            if len(full) != len(sources):
                raise UserError(f"{len(full)} weights for a model with {len(sources)} sources")
            found.append(dict(zip(sources, full, strict=True)))
        return found


def bag_at(path: Path) -> Path | None:
    """The description of a bag: a `.yaml`, or the one in a folder; None if there is none.

    Raises UserError if a folder has several.
    """
    if path.suffix in SUFFIXES and path.is_file():
        return path
    found = []
    if path.is_dir():
        found = [one for one in sorted(path.iterdir()) if one.suffix in SUFFIXES and names_any(one)]
    if len(found) > 1:
        several = ", ".join(one.name for one in found)
        raise UserError(f"{path}: holds several bags: {several}; wanted the path of one")
    return found[0] if found else None


def names_any(path: Path) -> bool:
    """Whether a `.yaml` looks like a bag: other programs write such files as well."""
    try:
        text = path.read_bytes()[: yamlfile.LARGEST]
    except OSError:
        return False
    return re.search(rb"^models:", text, re.M) is not None


def read_bag(path: Path) -> BagFile:
    """Read a description and find the files. Raises UserError naming what is wrong or missing."""
    content = yamlfile.read(path)
    try:
        if not isinstance(content, dict):
            raise ValueError("no names and values")
        models, weights, segment = (content.get(key) for key in KEYS)
        named = isinstance(models, list) and all(isinstance(name, str) for name in models)
        if not models or not named:
            raise ValueError("no list of names for models")
        rows = [(1.0,)] * len(models) if weights is None else [numbers(row) for row in weights]
        if len(rows) != len(models):
            raise ValueError(f"{len(rows)} rows of weights for {len(models)} models")
        if segment is not None and numbers([segment])[0] <= 0:
            raise ValueError(f"segment {segment}")
        together: dict[str, tuple[float, ...]] = {}
        for name, row in zip(models, rows, strict=True):  # a model may be named twice
            before = together.get(name, (0.0,) * len(row))
            together[name] = tuple(a + b for a, b in zip(before, row, strict=True))
    except DAMAGE as error:
        raise UserError(f"{path}: {' '.join(str(error).split())}; {WANTED}") from error
    return BagFile(
        tuple(file_of(path, name) for name in together),
        tuple(row[0] if weights is None else row for row in together.values()),
        segment,
    )


def numbers(row: Any) -> tuple[float, ...]:
    found = tuple(float(value) for value in row)
    if not all(map(isfinite, found)):
        raise ValueError(f"{row} are not all finite numbers")
    return found


def file_of(bag: Path, name: str) -> Path:
    """The file of a model beside a bag; if its name has a digest, the file matches it."""
    if not files.safe_name(name, ""):
        raise UserError(f"{bag}: {name!r} cannot be the name of a file")
    ours = re.compile(rf"{re.escape(name)}(\.safetensors|(?:-([0-9a-f]{{8,64}}))?\.th)")
    found = {
        path: match for path in sorted(bag.parent.iterdir()) if (match := ours.fullmatch(path.name))
    }
    if len(found) != 1:
        which = ", ".join(path.name for path in found) or "no such file"
        raise UserError(
            f"{bag}: for {name}: {which}; wanted one {name}.safetensors or {name}-*.th beside it"
        )
    ((path, match),) = found.items()
    digest = files.digest(path)
    if match[2] and not digest.startswith(match[2]):
        raise UserError(f"{path}: its SHA-256 is {digest}, its name says {match[2]}")
    return path
