"""Models as they are stored, and bags: models whose stems are averaged, with weights.

A single model is a bag of one. On disk, it is a `.safetensors` file or an Orbax folder, and a bag
of several is a folder with `bag.json` and one file per member.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from xumx_jax import files
from xumx_jax.errors import CheckpointError, UserError
from xumx_jax.models import build, frozen
from xumx_jax.weights import pointer, safetensors, store

FILE, MEAN = "bag.json", "mean"
# 2 adds the rule; bags without one are still written as 1, for earlier versions to read
FORMAT, WITHOUT_RULE = 2, 1
Weight = float | Mapping[str, float] | None  # of a member: for all its sources, or by source


@dataclass(frozen=True)
class Member:
    """A model as stored: `build(name, **args)` makes the module, `variables` are numpy arrays."""

    name: str
    args: dict[str, Any]
    variables: dict
    info: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Bag:
    """One model, or several with the weight of each for every source.

    members   models with their variables
    sources   the first member's, in its order, then those that others add
    weights   float64 [member, source], 0 where a member lacks the source; every column sums to 1
    combine   key of `combinations.COMBINATIONS`: how the members are separated before the average
    """

    members: tuple[Member, ...]
    sources: tuple[str, ...]
    weights: np.ndarray
    combine: str = MEAN

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
            **({} if self.combine == MEAN else {"combine": self.combine}),
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


def joined(
    bags: Sequence[Bag], weights: Sequence[Weight] | None = None, combine: str | None = None
) -> Bag:
    """Join several bags into one; each weight is that of a whole bag.

    `combine` is the rule for all members; None: that of a bag on its own, else the mean. Raises
    UserError if the rule does not fit the members.
    """
    if len(bags) == 1 and not isinstance((weights or [None])[0], Mapping):
        whole = bags[0]
    else:
        whole = _together(bags, weights)
    rules = [one.combine for one in bags if one.combine != MEAN]
    if combine is None and rules and len(bags) > 1:
        raise UserError(
            f"a bag with the rule {rules[0]} is joined with other models; use it alone, or give "
            "combine, the rule for all of them"
        )
    rule = combine or next(iter(rules), MEAN)
    if rule == whole.combine == MEAN:
        return whole
    from xumx_jax.weights import combinations  # few bags have a rule

    combinations.shares(rule, [build(member.name, **member.args) for member in whole.members])
    return replace(whole, combine=rule)


def _together(bags: Sequence[Bag], weights: Sequence[Weight] | None) -> Bag:
    names, outer = average([one.sources for one in bags], weights)
    rows = []
    for one, row in zip(bags, outer, strict=True):
        columns = [names.index(name) for name in one.sources]
        inner = np.zeros((len(one.members), len(names)))
        inner[:, columns] = one.weights * row[columns]
        rows.append(inner)
    return Bag(tuple(member for one in bags for member in one.members), names, np.concatenate(rows))


def save_model(
    path: str | Path,
    name: str,
    args: dict,
    variables: dict,
    info: dict | None = None,
    half: bool = False,
) -> None:
    """Write a model for inference: `.safetensors` by suffix, else an Orbax folder.

    `half` stores float32 as float16 (`.safetensors` only): half the size, read back as float32.
    """
    path = Path(path)
    description = {"name": name, "args": args, "info": info or {}}
    if path.suffix != ".safetensors":
        if half:
            raise UserError(f"{path}: half precision is for .safetensors")
        store.write(path, {"model": variables}, description)
        return
    safetensors.write(path, variables, description, half)


def load_model(path: str | Path) -> Member:
    """Read a model: an Orbax folder or a pointer to one, a training folder, or `.safetensors`.

    `info["export"]` overrides arguments of the model, for those that training kept out of it.
    """
    path = Path(path)
    ours = path.suffix == ".safetensors"
    if path.is_dir() or (not ours and pointer.is_pointer(path)):
        with pointer.reading(lambda: store.checkpoint_of(path)) as folder:
            description, variables = store.describe(folder), store.read(folder, "model")
    elif path.is_file():
        description, variables = safetensors.read(path)
    else:
        raise CheckpointError(f"{path}: no such file or folder")
    try:
        name, info = description["name"], dict(description["info"])
        args = {**description["args"], **info.get("export", {})}
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: its description names no model") from error
    return Member(name, frozen(args), variables, info)


def is_bag(path: Path) -> bool:
    """Whether a folder is a bag."""
    return (path / FILE).is_file()


def save(folder: Path, content: Bag) -> None:
    """Write a bag as a folder, in one step. Raises OSError."""
    with files.replacing_folder(Path(folder)) as partial:
        listed = []
        for number, member in enumerate(content.members):
            name = f"{number}.safetensors"
            info = {key: value for key, value in member.info.items() if key != "path"}
            save_model(partial / name, member.name, member.args, member.variables, info)
            row = dict(zip(content.sources, content.weights[number].tolist(), strict=True))
            listed.append({"file": name, "weights": {k: w for k, w in row.items() if w}})
        about: dict[str, Any] = {"format": WITHOUT_RULE, "members": listed}
        if content.combine != MEAN:
            about |= {"format": FORMAT, "combine": content.combine}
        text = json.dumps(about, indent=1)
        (partial / FILE).write_text(text + "\n")


def load(folder: Path) -> Bag:
    """Read the folder of a bag. Raises UserError naming what is damaged."""
    place = Path(folder) / FILE
    try:
        content = json.loads(place.read_text())
        if content["format"] > FORMAT:
            raise UserError(f"{place}: was written by a later version (format {content['format']})")
        combine = content.get("combine")
        names = [Path(member["file"]).name for member in content["members"]]
        weights = [
            {k: float(w) for k, w in member["weights"].items()} for member in content["members"]
        ]
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"{place}: cannot be read ({error.strerror})") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{place}: does not describe models with weights ({error})") from error
    found = bag([load_model(Path(folder, name)) for name in names], weights)
    try:
        return joined([found], combine=None if combine is None else str(combine))
    except UserError as error:
        raise UserError(f"{place}: {error}") from error
