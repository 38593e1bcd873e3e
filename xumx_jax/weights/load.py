"""Load models by name or path, whatever the format of their weights."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from flax import linen as nn

from xumx_jax import assets
from xumx_jax.errors import UserError
from xumx_jax.models import build
from xumx_jax.weights import bag, pointer, safetensors, store
from xumx_jax.weights.alignment import align
from xumx_jax.weights.bag import Bag, Weight, load_model, save_model

LOG = logging.getLogger(__name__)
Name = str | Path | None
Models = Name | Mapping[str, Weight] | Sequence[Name | tuple[Name, Weight]]


def resolve(name_or_path: Name) -> Path:
    """Return the file or folder of a model: its name in the zoo, else an existing path.

    None is the zoo's default. Raises UserError if there is no such model, and if it cannot be
    downloaded.
    """
    if name_or_path == assets.DEMO:
        return assets.DEMO_FILE
    from xumx_jax.weights import zoo  # the bundled model needs none of what others publish

    if name_or_path is None or name_or_path in zoo.names():
        return zoo.find(zoo.DEFAULT if name_or_path is None else str(name_or_path))
    path = Path(name_or_path)
    if os.path.exists(path):  # unlike path.exists(), no error where a name is too long
        return path
    from xumx_jax.weights.converters import demucs_files, readers

    if path.suffix in (*readers.SUFFIXES, *demucs_files.SUFFIXES) or len(path.parts) > 1:
        raise UserError(f"{path}: no such file or folder; {readers.WANTED}")
    return zoo.find(str(name_or_path))


def load_weights(
    path: str | Path, kind: str | None = None, settings: dict[str, Any] | None = None
) -> Bag:
    """Read an Orbax folder, our `.safetensors`, a bag's folder, or another program's weights.

    Another program's weights are a file, a folder with one file per target (Open-Unmix), or a bag:
    a `.yaml` with the files that it names beside it, or the folder of all these (Demucs).
    `kind` (of `converters.KINDS`) says which program wrote them; None looks at tensor names.
    `settings` are arguments of the model that another program's file leaves open. Raises UserError
    with one line.
    """
    path = Path(path)

    def complete(found: Bag) -> Bag:
        if settings:
            raise UserError(
                f"{path}: it leaves no {', '.join(settings)} open; settings are for the file of "
                "one model by another program"
            )
        return found

    if bag.is_bag(path):
        return complete(bag.load(path))
    if path.suffix == ".safetensors" and path.is_file() and safetensors.is_ours(path):
        return complete(bag.bag([load_model(path)]))
    # only for other programs' weights
    from xumx_jax.weights import converters
    from xumx_jax.weights.converters import demucs_files, openunmix_files

    if (described := demucs_files.bag_at(path)) is not None:
        return complete(converters.convert_bag(described, kind))
    if not openunmix_files.is_folder(path) and (path.is_dir() or pointer.is_pointer(path)):
        return complete(bag.bag([load_model(path)]))
    weights = converters.completed(openunmix_files.read(path), kind, settings)
    return converters.convert_all(weights, kind)


def load_bag(models: Models = None, combine: str | None = None) -> Bag:
    """Load one model, or several with weights and a rule (see `bag.joined`).

    `models` is a name of the zoo or a path; several of them, each alone or (name, weight); or
    {name: weight}. A weight is a number or {source: number}. None is the published weights; if they
    cannot be downloaded, that is logged and the bundled model is used instead. `info` of each
    member has "path", and what the file states: "kind", "origin", "licence", "score"; of a model
    that replaces the published one also "fallback": {"wanted": its name, "reason": why}. Raises
    UserError with one line.
    """
    if isinstance(models, Mapping):
        models = list(models.items())
    if models is None or isinstance(models, str | Path):
        models = [models]
    given = [one if isinstance(one, tuple) else (one, None) for one in models]
    found = [_located(name) for name, _ in given]
    return bag.joined(found, [weight for _, weight in given], combine)


def _located(name: Name) -> Bag:
    more: dict[str, Any] = {}
    try:
        path = resolve(name)
    except UserError as error:
        if name is not None:
            raise
        path = assets.DEMO_FILE
        more["fallback"] = {"wanted": _default(), "reason": str(error)}
        LOG.warning("published weights unavailable (%s); using the bundled demo model", error)
    found = load_weights(path)
    for member in found.members:
        align(member.variables)
    if path == assets.DEMO_FILE:
        more["licence"] = assets.DEMO_LICENCE
    members = (
        replace(member, info={**more, **member.info, "path": str(path)}) for member in found.members
    )
    return replace(found, members=tuple(members))


def _default() -> str:
    from xumx_jax.weights import zoo

    return zoo.DEFAULT


def load_module(name_or_path: Name = None) -> tuple[nn.Module, dict, dict[str, Any]]:
    """Return a linen module, its variables (numpy) and what is known about them.

    None is the published weights, never others instead. `info` is that of `load_bag`, with "model"
    and "args", the arguments of `build`. Raises UserError with one line, also if there are several
    models.
    """
    only = load_bag(_default() if name_or_path is None else name_or_path).only
    module = build(only.name, **only.args)
    return module, only.variables, {**only.info, "model": only.name, "args": only.args}


def check_place(target: Path) -> None:
    """Raise UserError unless `target` is free, empty, or a checkpoint or bag to be replaced."""
    known = (store.MANIFEST, bag.FILE)
    if not target.exists() or any((target / name).is_file() for name in known):
        return
    if not target.is_dir() or any(target.iterdir()):
        raise UserError(f"{target}: exists and is not a checkpoint; use a new folder")


def convert(
    source: Models,
    target: str | Path,
    kind: str | None = None,
    half: bool = False,
    combine: str | None = None,
    settings: dict[str, Any] | None = None,
    adapters: str | Path | None = None,
) -> Bag:
    """Write any weights that `load` reads as an Orbax folder, or as `.safetensors` by suffix.

    Several models, as for `load_bag`, become the folder of a bag, which keeps their weights and the
    rule `combine`. `half` stores float16 (`.safetensors` only). `settings` are as for
    `load_weights`, of one model. `adapters` is a file as of `weights.adapters`, to be added to it.
    Returns the bag that was written.
    """
    from xumx_jax.weights.converters import readers

    target = Path(target)
    if target.suffix in readers.SUFFIXES and target.suffix != ".safetensors":
        raise UserError(f"{target}: can't write {target.suffix}; use a folder or .safetensors")
    path = None
    if source is None or isinstance(source, str | Path):
        path = resolve(source)
    if path is not None and path.resolve() == target.resolve():
        raise UserError(f"{target}: source and target are the same")
    if target.suffix != ".safetensors":
        check_place(target)
    if path is None:
        found = load_bag(source, combine)
    else:
        found = bag.joined([load_weights(path, kind, settings)], combine=combine)
    if adapters is not None:
        from xumx_jax.weights.adapters import added

        found = added(adapters, found)
    if len(found.members) > 1 and (half or target.suffix == ".safetensors"):
        raise UserError(
            f"{target}: {len(found.members)} models become a folder, in float32; use a folder"
        )
    try:
        if len(found.members) > 1:
            bag.save(target, found)
        else:
            only = found.only
            save_model(target, only.name, only.args, only.variables, only.info, half)
    except OSError as error:
        raise UserError(f"{target}: cannot be written ({error})") from error
    return found
