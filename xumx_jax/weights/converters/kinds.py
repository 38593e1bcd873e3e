"""What a kind of weights is, and how sizes are read from tensors."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xumx_jax.errors import UserError
from xumx_jax.models.interface import TRAINING_FIELDS, fields
from xumx_jax.weights.converters.readers import Weights
from xumx_jax.weights.converters.rules import Rule

Tensors = dict[str, np.ndarray]
# PyTorch keeps windows of transforms and counts of batches among the weights.
TORCH_IGNORE = ("*window", "*num_batches_tracked")

# Sources by their number, where a file names none: of music, and of films, in the order of the
# challenges' data sets.
BY_NUMBER = {4: ("drums", "bass", "other", "vocals"), 3: ("music", "sfx", "speech")}


def source_names(number: int, info: dict, alone: str = "source_1") -> tuple[str, ...]:
    """Name sources: as a file or a row states, or as so many usually are; `alone` if it is one.

    `info` is that of the file, whose program's own arguments may be "kwargs" or "model_args".
    Raises UserError if it states another number of them.
    """
    for place in ("settings", "kwargs", "model_args"):
        if stated := (info.get(place) or {}).get("sources"):
            if len(stated) != number:
                raise UserError(
                    f"its sources are stated as {', '.join(map(str, stated))}, and its tensors "
                    f"have {number}"
                )
            return tuple(stated)
    if targets := info.get("targets"):
        return tuple(targets)
    usual = {**BY_NUMBER, 1: (alone,)}
    return usual.get(number) or tuple(f"source_{index}" for index in range(1, number + 1))


def stated(info: dict, place: str, names: dict[str, str], without_effect: Sequence[str] = ()):
    """The arguments that a file states as `info[place]`, by our names; None is left out.

    names           {their name: ours}
    without_effect  their names for what we do not need: tensors show it, or nothing depends on it

    Raises UserError on others, since what they ask for would not be computed; those that are False
    ask for nothing.
    """
    given = {name: value for name, value in (info.get(place) or {}).items() if value is not None}
    unknown = [
        name for name in given if name not in (*names, *without_effect) and given[name] is not False
    ]
    if unknown:
        raise UserError(f"its {place} have an unknown argument, {', '.join(unknown[:3])}")
    return {names[name]: value for name, value in given.items() if name in names}


def named_as(model: Callable, renamed: dict[str, str]) -> dict[str, str]:
    """{their name: ours} of all arguments of a model, of which some are `renamed`, likewise."""
    ours = {name: theirs for theirs, name in renamed.items()}
    names = [name for name in fields(model) if name not in TRAINING_FIELDS]
    return {ours.get(name, name): name for name in names}


def prefixed(parts: dict[str, Weights]) -> Tensors:
    """The tensors of {target: its file}, as "target/name"."""
    return {
        f"{target}/{name}": tensor
        for target, part in parts.items()
        for name, tensor in part.tensors.items()
    }


@dataclass(frozen=True)
class Kind:
    """One layout of weights.

    model      key of MODELS
    anchor     regular expression for a characteristic tensor name; its group is a wrapper's prefix
    arguments  (tensors, info) -> arguments of the model. For published weights (`published.rows`)
               `info` has "targets", if each has its own file, and "settings", if there are any
    rules      those arguments -> name map
    spelled    the sources as spelled in tensor names, None if spelled as in the arguments
    ignore     patterns of names that hold nothing to load
    also       regular expressions of further names, each of which must be there
    joined     {target: its file} -> the tensors of all, where one model has several files
    split      weights -> [weights]: more than one if they are not one model but several
    part       the kind of such a part, a key of KINDS
    prepared   tensors, without a wrapper's prefix -> the same by the names that the map knows
    beside     path of a file of weights -> "settings" that other files beside it state
    configured  a configuration of ZFTurbo's and UVR's programs -> part of `info`; None: it has none
    """

    model: str
    anchor: str
    arguments: Callable[[Tensors, dict], dict]
    rules: Callable[[dict], Sequence[Rule]]
    spelled: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = TORCH_IGNORE
    also: tuple[str, ...] = ()
    joined: Callable[[dict[str, Weights]], Tensors] = prefixed
    split: Callable[[Weights], list[Weights]] = lambda weights: [weights]
    part: str | None = None
    prepared: Callable[[Tensors], Tensors] = lambda tensors: tensors
    beside: Callable[[Path], dict[str, Any]] = lambda path: {}
    configured: Callable[[dict], dict[str, Any]] | None = None


def sizes(tensors: Tensors, pattern: str, axis: int) -> list[int]:
    """The lengths of one axis in all tensors whose names match."""
    return [
        tensor.shape[axis]
        for name, tensor in tensors.items()
        if re.fullmatch(pattern, name) and tensor.ndim > axis
    ]


def vote(found: Sequence[int], what: str) -> int:
    """Take the most common of several sizes, so that a single wrong tensor is found and named."""
    if not found:
        raise UserError(f"none of its tensors gives {what}")
    return Counter(found).most_common(1)[0][0]


def groups_in(tensors: Tensors, pattern: str) -> tuple[str, ...]:
    """What the group of `pattern` matches in the names (the sources), in the file's order."""
    return tuple(dict.fromkeys(m[1] for m in (re.fullmatch(pattern, n) for n in tensors) if m))
