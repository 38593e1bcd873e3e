"""Name maps between other programs' tensors and our variables, and the function that applies them.

A map is a tuple of `Rule`s. Every variable must be filled and every tensor used, or it fails, so a
file with another layout cannot be mistaken for a known one.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from xumx_jax.errors import UserError


def identity(tensor: np.ndarray) -> np.ndarray:
    return tensor


@dataclass(frozen=True)
class Rule:
    """Where one variable comes from.

    target   path of our variable; `{layer}` stands for 0, 1, ... in a map of several layers
    theirs   name of their tensor, or a tuple of names; with `{source}` in it the rule is applied
             once per source and the results are stacked, otherwise `how` returns all sources
    how      from their tensors, in the order of `theirs`, to ours. Raises ValueError or IndexError
             if their shapes make no sense
    shapes   of their tensors, where there are so many that one of a wrong shape has to be named
    """

    target: str
    theirs: str | tuple[str, ...]
    how: Callable[..., np.ndarray] = identity
    shapes: tuple[tuple[int, ...], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return (self.theirs,) if isinstance(self.theirs, str) else self.theirs


def apply(
    rules: Sequence[Rule],
    tensors: dict[str, np.ndarray],
    shapes: dict,
    sources: Sequence[str] = (),
    layers: int = 0,
    ignore: Sequence[str] = (),
) -> dict:
    """Fill a tree shaped like `shapes` (of ShapeDtypeStruct) with {name: tensor}.

    `ignore` lists patterns of tensor names that hold nothing to load (windows, counters). Raises
    UserError naming the tensor if one is missing, unused, of the wrong shape or not finite.
    """
    wanted: dict[str, Any] = dict(flatten_dict(shapes, sep="/"))
    filled, used = {}, set()
    for rule, target, names in expand(rules, layers):
        if target not in wanted:
            raise ValueError(f"a rule fills {target}, which the model does not have")
        stacked = any("{source}" in name for name in names)
        shape = wanted[target].shape[1:] if stacked else wanted[target].shape
        pieces = []
        for source in sources if stacked else ("",):
            theirs = [name.replace("{source}", source) for name in names]
            pieces.append(convert(rule, target, theirs, tensors, shape))
            used.update(theirs)
        value = np.stack(pieces) if stacked else pieces[0]
        filled[target] = np.asarray(value, wanted[target].dtype)

    if unfilled := sorted(set(wanted) - set(filled)):
        raise UserError(f"nothing fills {unfilled[0]} {wanted[unfilled[0]].shape}")
    unused = [
        name
        for name in tensors
        if name not in used and not any(fnmatchcase(name, pattern) for pattern in ignore)
    ]
    if unused:
        more = f" (and {len(unused) - 1} more)" if len(unused) > 1 else ""
        raise UserError(f"unexpected tensor {unused[0]} {tensors[unused[0]].shape}{more}")
    return unflatten_dict(filled, sep="/")


def expand(rules: Sequence[Rule], layers: int):
    """Yield (rule, target, names) with `{layer}` replaced by each layer's number."""
    for rule in rules:
        for layer in range(layers) if "{layer}" in rule.target else (0,):
            number = str(layer)
            names = [name.replace("{layer}", number) for name in rule.names]
            yield rule, rule.target.replace("{layer}", number), names


def listed(shapes: dict[str, tuple], most: int = 4) -> str:
    """Tensors with their shapes; of many, those that differ from the rest, or else the first."""
    if len(shapes) <= most:
        return " + ".join(f"{name} {shape}" for name, shape in shapes.items())
    usual, _ = Counter(shapes.values()).most_common(1)[0]
    odd = [name for name, shape in shapes.items() if shape != usual]
    shown = odd if 0 < len(odd) < most else list(shapes)[:2]
    rest = f"and {len(shapes) - len(shown)} more" + f" of {usual}" * (shown is odd)
    return " + ".join(f"{name} {shapes[name]}" for name in shown) + f" ({rest})"


def convert(rule: Rule, target: str, names: list[str], tensors: dict, shape: tuple) -> np.ndarray:
    """Turn the tensors with these names into the variable `target` with this shape."""
    for name in names:
        if name not in tensors:
            raise UserError(f"tensor {name} is missing; wanted for {target} {shape}")
        if not np.isfinite(tensors[name]).all():
            raise UserError(f"tensor {name} holds NaN or infinite values")
    for name, wanted in zip(names, rule.shapes, strict=False):
        if tensors[name].shape != wanted:
            raise UserError(f"tensor {name} is {tensors[name].shape}, wanted {wanted}")
    got = listed({name: tensors[name].shape for name in names})
    try:
        value = rule.how(*(tensors[name] for name in names))
    except (ValueError, IndexError) as error:
        raise UserError(f"tensor {got} cannot be {target}, wanted {shape} ({error})") from error
    if value.shape != shape:
        raise UserError(f"tensor {got} gives {target} {value.shape}, wanted {shape}")
    return value
