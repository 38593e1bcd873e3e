"""Convert weights of other programs to our variables, without those programs.

readers, torchfile   files to named tensors; nothing that a file names is executed
openunmix_files      folders and archives with one file per target
configuration, yamlfile  the .yaml beside a checkpoint of ZFTurbo's and UVR's programs
demucs_files         bags of models, as Demucs describes them in a .yaml
onnxfile, mdxnet_files   .onnx files by the order of their nodes, and what UVR knows of them
kinds, rules         what a kind of weights is: a name map, applied completely or not at all
umx, bsrnn, openunmix, demucs, aimless, slicq, slicq_v2   the kinds, listed in KINDS
roformer, htdemucs, mdx23c, mdxnet, scnet   others of them
roformer_arguments   what RoFormers' tensors and configurations say
arrays               how tensors are turned, for several of them
unet                 maps of the layers of Demucs' U-Nets

Our own formats are not here but in `xumx_jax.weights`.
"""

import re
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from xumx_jax.errors import UserError
from xumx_jax.models import build, model_class
from xumx_jax.models.interface import TRAINING_FIELDS, fields, variable_shapes
from xumx_jax.weights.bag import Bag, Member, bag
from xumx_jax.weights.converters import (
    aimless,
    bsrnn,
    configuration,
    demucs,
    demucs_files,
    htdemucs,
    mdx23c,
    mdxnet,
    openunmix,
    openunmix_files,
    readers,
    roformer,
    roformer_arguments,
    rules,
    scnet,
    slicq,
    slicq_v2,
    umx,
)
from xumx_jax.weights.converters.readers import Weights

# Detected in this order: AIMLESS's networks also have the characteristic names of Demucs, and
# Open-Unmix, whose names are the commonest, comes last.
KINDS = {**umx.KINDS, **bsrnn.KINDS, **slicq.KINDS, **slicq_v2.KINDS, **aimless.KINDS}
KINDS |= (
    mdx23c.KINDS
    | mdxnet.KINDS
    | scnet.KINDS
    | roformer.KINDS
    | htdemucs.KINDS
    | demucs.KINDS
    | openunmix.KINDS
)
# What Lightning saves beside AIMLESS's model: transforms, losses, the choice of targets.
BESIDE = ("spec.window", "inv_spec.window", "criterion.*", "transforms.*", "targets_idx")


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


def completed(
    weights: Weights, kind: str | None = None, settings: dict[str, Any] | None = None
) -> Weights:
    """The same with what a configuration beside the file says, and `settings`, which go first.

    `settings` are arguments of the model, by our names; `kind` is as for `convert`.
    """
    known = KINDS.get(kind or detect(weights.tensors) or "")
    if known is not None and known.configured is not None:
        weights = configuration.completed(weights, known.configured)
    if settings and known is not None:
        names = [name for name in fields(model_class(known.model)) if name not in TRAINING_FIELDS]
        for name in settings:
            if name not in names:
                raise UserError(
                    f"{weights.path}: unknown setting {name!r}; known: {', '.join(names)}"
                )
        given = {**(weights.info.get("settings") or {}), **settings}
        weights = replace(weights, info={**weights.info, "settings": given, "given": settings})
    return weights


def convert(weights: Weights, kind: str | None = None) -> Member:
    """Turn the tensors of a file into a model's arguments and variables; `kind` None: detect it.

    Raises UserError, naming file and tensor, unless tensors and variables match one to one, and if
    the file states arguments that make no model; what it is by its names, and by what it says, is
    named as well.
    """
    given = kind
    if kind is not None and kind not in KINDS:
        raise UserError(f"unknown kind of weights {kind!r}; known: {', '.join(KINDS)}")
    kind = kind or detect(weights.tensors)
    if kind is None:
        some = ", ".join(list(weights.tensors)[:3])
        unknown = f"its tensors fit none of the known kinds ({', '.join(KINDS)}): {some}, ..."
        raise UserError(f"{weights.path}: {roformer_arguments.variant(weights.tensors) or unknown}")
    known = KINDS[kind]
    try:
        tensors = known.prepared(strip(weights.tensors, known.anchor))
        settings = {**known.beside(weights.path), **(weights.info.get("settings") or {})}
        info = {**weights.info, **({"settings": settings} if settings else {})}
        arguments = known.arguments(tensors, info)
        configuration.check_used(info.get("given") or {}, arguments)
        variables = rules.apply(
            known.rules(arguments),
            tensors,
            shapes(known.model, arguments),
            known.spelled or build(known.model, **arguments).sources,
            arguments.get("layers", 0),  # rules may be written once a layer
            known.ignore,
        )
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        # of a UserError, or of what the file states and no name map can be made of
        found = detect(weights.tensors) if given else None
        other = f"; by its names it is {found}" if found not in (None, kind) else ""
        said = weights.info.get("class")
        other += f"; it says that its model is {said}" if said else ""
        beside = weights.info.get("configuration")
        other += f"; {beside} is its configuration" if beside else ""
        why = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{weights.path}: as {kind}: {why}{other}") from error
    info = {"kind": kind, "origin": weights.path.name}
    if usual := weights.info.get("separation"):
        info["separation"] = usual
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


def convert_bag(path: Path, kind: str | None = None) -> Bag:
    """Convert a bag of Demucs: its `.yaml`, and the files of its models beside it.

    The stems are averaged with a weight for each model and source, as in Demucs. Raises UserError
    if a file is missing, and if the models differ in sources or sample rate.
    """
    described = demucs_files.read_bag(path)
    members = []
    for place in described.files:
        weights = readers.read(place)
        members.append(convert(replace(weights, info=weights.info | described.info), kind))
    modules = [build(member.name, **member.args) for member in members]
    first = modules[0]
    for place, module in zip(described.files, modules, strict=True):
        for name in ("sources", "sample_rate"):
            found, wanted = getattr(module, name), getattr(first, name)
            if found != wanted:
                raise UserError(
                    f"{path}: {name} of {place.name}: {found}, of {described.files[0].name}: "
                    f"{wanted}; the models of a bag have the same"
                )
    try:
        return bag(members, described.by_source(first.sources))
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def strip(tensors: dict, anchor: str) -> dict:
    """Drop the prefix that a wrapper put before the names ("model.", "module.").

    What is known to lie outside of a wrapped model (BESIDE) is left out.
    """
    matches = [match for match in (re.fullmatch(anchor, name) for name in tensors) if match]
    prefix = matches[0][1] if matches else ""

    def outside(name):
        other = prefix and not name.startswith(prefix)
        return other and any(fnmatchcase(name, pattern) for pattern in BESIDE)

    return {name.removeprefix(prefix): t for name, t in tensors.items() if not outside(name)}


def shapes(model: str, arguments: dict) -> dict:
    """Shapes of the variables of a model, as a tree of ShapeDtypeStruct; nothing is computed."""
    module = build(model, **arguments)
    try:
        return variable_shapes(module)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise UserError(f"its sizes do not make a model: {arguments}") from error
