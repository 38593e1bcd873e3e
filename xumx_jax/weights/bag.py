"""Bags: several models whose stems are averaged, with weights [member, source].

A single model is a bag of one. On disk, a bag is a folder with `bag.json` and one file per member.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from xumx_jax import files
from xumx_jax.errors import UserError
from xumx_jax.models import build
from xumx_jax.weights import store
from xumx_jax.weights.store import Member

FILE, FORMAT = "bag.json", 1
Weight = float | Mapping[str, float] | None  # of a member: for all its sources, or by source


@dataclass(frozen=True)
class Bag:
    """One model, or several with the weight of each for every source.

    members   models with their variables
    sources   the first member's, in its order, then those that others add
    weights   float64 [member, source], 0 where a member lacks the source; every column sums to 1
    """

    members: tuple[Member, ...]
    sources: tuple[str, ...]
    weights: np.ndarray

    @property
    def only(self) -> Member:
        """The member of a bag of one. Raises UserError if there are several."""
        first, *others = self.members
        if others:
            path = first.info.get("path", "this")
            raise UserError(
                f"{path}: contains {len(self.members)} models; wanted a single one here"
            )
        return first

    @property
    def description(self) -> dict[str, Any]:
        """Everything except the variables, as JSON values."""
        return {
            "members": [
                {"name": member.name, "args": member.args, "info": member.info}
                for member in self.members
            ],
            "sources": list(self.sources),
            "weights": self.weights.tolist(),
        }


def bag(members: Sequence[Member], weights: Sequence[Weight] | None = None) -> Bag:
    """Put members into a bag; see `average` for the weights."""
    found = [tuple(build(member.name, **member.args).sources) for member in members]
    return Bag(tuple(members), *average(found, weights))


def average(
    sources: Sequence[Sequence[str]], weights: Sequence[Weight] | None = None
) -> tuple[tuple[str, ...], np.ndarray]:
    """Normalise weights -> (sources of all members, float64 [member, source], columns sum to 1).

    `sources` are those of every member. A weight is a number for all of them, or {source: number},
    where sources that are left out get 0; None is 1, and without weights all are equal. Raises
    UserError on weights that make no sense, and on a source without any weight.
    """
    names = tuple(dict.fromkeys(name for member in sources for name in member))
    table = np.zeros((len(sources), len(names)))
    weights = [None] * len(sources) if weights is None else list(weights)
    if not sources or len(weights) != len(sources):
        raise UserError(
            f"{len(weights)} weights for {len(sources)} models; wanted positive numbers"
        )
    for row, own, weight in zip(table, sources, weights, strict=True):
        if isinstance(weight, Mapping):
            given = dict(weight)
        else:
            given = dict.fromkeys(own, 1.0 if weight is None else weight)
        for name, value in given.items():
            if name not in own:
                raise UserError(f"a weight for {name!r}; the model has {', '.join(own)}")
            if not isfinite(value) or value < 0 or (not value and not isinstance(weight, Mapping)):
                raise UserError(f"the weights of the models are {weights}; wanted positive numbers")
            row[names.index(name)] = value
    sums = table.sum(axis=0)
    for name, total in zip(names, sums, strict=True):
        if not total:
            raise UserError(f"no model has a weight for {name}; wanted one above 0")
    return names, table / sums


def joined(bags: Sequence[Bag], weights: Sequence[Weight] | None = None) -> Bag:
    """Join several bags into one; each weight is that of a whole bag."""
    if len(bags) == 1 and not isinstance((weights or [None])[0], Mapping):
        return bags[0]
    names, outer = average([one.sources for one in bags], weights)
    rows = []
    for one, row in zip(bags, outer, strict=True):
        columns = [names.index(name) for name in one.sources]
        inner = np.zeros((len(one.members), len(names)))
        inner[:, columns] = one.weights * row[columns]
        rows.append(inner)
    return Bag(tuple(member for one in bags for member in one.members), names, np.concatenate(rows))


def is_bag(path: Path) -> bool:
    """Whether a folder is a bag."""
    return (path / FILE).is_file()


def save(folder: Path, content: Bag) -> None:
    """Write a bag as a folder, in one step. Raises OSError."""
    with files.replacing_folder(Path(folder)) as partial:
        said = []
        for number, member in enumerate(content.members):
            name = f"{number}.safetensors"
            info = {key: value for key, value in member.info.items() if key != "path"}
            store.save_model(partial / name, member.name, member.args, member.variables, info)
            row = dict(zip(content.sources, content.weights[number].tolist(), strict=True))
            said.append({"file": name, "weights": {k: w for k, w in row.items() if w}})
        text = json.dumps({"format": FORMAT, "members": said}, indent=1)
        (partial / FILE).write_text(text + "\n")


def load(folder: Path) -> Bag:
    """Read the folder of a bag. Raises UserError naming what is damaged."""
    place = Path(folder) / FILE
    try:
        said = json.loads(place.read_text())
        if said["format"] > FORMAT:
            raise UserError(f"{place}: was written by a later version (format {said['format']})")
        names = [Path(member["file"]).name for member in said["members"]]
        weights = [
            {k: float(w) for k, w in member["weights"].items()} for member in said["members"]
        ]
    except UserError:
        raise
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{place}: does not describe models with weights ({error})") from error
    return bag([store.load_model(Path(folder, name)) for name in names], weights)
