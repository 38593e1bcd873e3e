"""Convert weights of other programs to our variables, without those programs.

readers, torchfile   files to named tensors; nothing that a file names is executed
openunmix_files      folders and archives with one file per target
kinds, rules         what a kind of weights is: a name map, applied completely or not at all
umx, bsrnn, openunmix, demucs   the kinds, listed in KINDS
unet                 maps of the layers of Demucs' U-Nets

Our own formats are not here but in `xumx_jax.weights`.
"""

import re
from dataclasses import replace
from pathlib import Path

from xumx_jax.errors import UserError
from xumx_jax.models import build
from xumx_jax.models.interface import variable_shapes
from xumx_jax.weights.bag import Bag, Member, bag
from xumx_jax.weights.converters import (
    bsrnn,
    demucs,
    openunmix,
    openunmix_files,
    readers,
    rules,
    umx,
)
from xumx_jax.weights.converters.readers import Weights

# Detected in this order; Open-Unmix, whose names are the commonest, comes last.
KINDS = {**umx.KINDS, **bsrnn.KINDS, **demucs.KINDS, **openunmix.KINDS}


def detect(tensors: dict) -> str | None:
    """Return the first kind whose characteristic tensors are present, or None."""
    for name, kind in KINDS.items():
        if openunmix_files.holds(tensors, (kind.anchor, *kind.also)):
            return name
    return None


def read_all(places: dict[str, Path], kind: str, settings: dict | None = None) -> Weights:
    """Read the files of one model, {target: path}; a single file for all targets is called "".

    `info` gets "targets" and "settings" for the kind's `arguments`.
    """
    targets = tuple(target for target in places if target)
    more = {"targets": targets} if targets else {}
    more |= {"settings": settings} if settings else {}
    if len(places) == 1:
        (path,) = places.values()
        weights = openunmix_files.read(path)
        return replace(weights, info={**weights.info, **more})
    parts = {target: readers.read(path) for target, path in places.items()}
    known = {key: value for part in parts.values() for key, value in part.info.items()}
    folder = next(iter(places.values())).parent
    return Weights(folder, KINDS[kind].joined(parts), known | more)


def convert(weights: Weights, kind: str | None = None) -> Member:
    """Turn the tensors of a file into a model's arguments and variables; `kind` None: detect it.

    Raises UserError, naming file and tensor, unless tensors and variables match one to one.
    """
    if kind is not None and kind not in KINDS:
        raise UserError(f"unknown kind of weights {kind!r}; known: {', '.join(KINDS)}")
    kind = kind or detect(weights.tensors)
    if kind is None:
        some = ", ".join(list(weights.tensors)[:3])
        raise UserError(
            f"{weights.path}: its tensors fit none of the known kinds ({', '.join(KINDS)}): "
            f"{some}, ..."
        )
    known = KINDS[kind]
    try:
        tensors = known.prepared(strip(weights.tensors, known.anchor))
        arguments = known.arguments(tensors, weights.info)
        variables = rules.apply(
            known.rules(arguments),
            tensors,
            shapes(known.model, arguments),
            known.spelled or build(known.model, **arguments).sources,
            arguments.get("layers", 0),  # rules may be written once a layer
            known.ignore,
        )
    except UserError as error:
        raise UserError(f"{weights.path}: as {kind}: {error}") from error
    info = {"kind": kind, "origin": weights.path.name}
    return Member(known.model, arguments, variables, info)


def convert_all(weights: Weights, kind: str | None = None) -> Bag:
    """As `convert`, but weights that are several models become members of a bag.

    Such as targets of Open-Unmix that differ in size: each then has its own source, and all the
    weight for it.
    """
    kind = kind or detect(weights.tensors)
    known = KINDS.get(kind or "")
    parts = known.split(weights) if known is not None else []
    if known is None or len(parts) == 1:
        return bag([convert(weights, kind)])
    return bag([convert(part, known.part) for part in parts])


def strip(tensors: dict, anchor: str) -> dict:
    """Drop the prefix that a wrapper put before the names ("model.", "module.")."""
    matches = [match for match in (re.fullmatch(anchor, name) for name in tensors) if match]
    prefix = matches[0][1] if matches else ""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}


def shapes(model: str, arguments: dict) -> dict:
    """Shapes of the variables of a model, as a tree of ShapeDtypeStruct; nothing is computed."""
    module = build(model, **arguments)
    try:
        return variable_shapes(module)
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise UserError(f"its sizes do not make a model: {arguments}") from error
