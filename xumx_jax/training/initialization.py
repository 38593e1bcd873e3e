"""The state that a run begins with: fresh weights and input statistics, or given weights."""

import json
import os
import re
from collections.abc import Callable

import jax
import numpy as np
from flax import linen as nn

from xumx_jax import runtime
from xumx_jax.errors import UserError
from xumx_jax.models import interface
from xumx_jax.training import distributed, state
from xumx_jax.training.batches import to_channels
from xumx_jax.training.statistics import cached_moments
from xumx_jax.weights import load


def begin(fresh: Callable, model, data, weights: str | None, log) -> state.State:
    """Make the first state of a run; `fresh()` draws it from the seed.

    With `weights`, a name or path as for `separate.py --model`, their input statistics are kept as
    well, as in Open-Unmix's fine-tuning; otherwise those of the training mixtures are computed, if
    the model has a place for them.
    """
    now = jax.jit(fresh)()
    if now.frozen is not None and not weights:
        raise UserError(
            "config.train.weights is '', wanted the weights that config.train.lora adapts"
        )
    variables = jax.device_get(now.trained())
    statistics = interface.optional(model, "input_statistics")
    if weights:
        if distributed.first():
            variables = adopted(weights, model, variables, log)
    elif statistics is None:
        return now
    elif distributed.first():
        log(f"input statistics of {data.tracks} tracks ...")
        folder = runtime.cache_folder() / "statistics"

        def mixes():
            return (to_channels(mix, model) for mix in data.mixes())

        found, cached = cached_moments(statistics, mixes, data.fingerprint, folder)
        if cached:
            log(f"input statistics: as kept in {folder}")
        params = jax.device_get(statistics.fill(variables["params"], found))
        variables = variables | {"params": params}
    return now.beginning(distributed.share(variables))


def adopted(weights: str, model: nn.Module, variables: dict, log: Callable) -> dict:
    """Fit given weights to `model`: a tree like `variables`.

    If the model's arrays have a source axis, sources are matched by name, and a source that the
    weights lack begins as a copy of their "other", or else of their first: a trained network is a
    better start for a new stem than a random one. If only the outputs of its last layers do, those
    of a source that the weights lack stay as `variables` has them: drawn. Otherwise the sources
    have to be the same.
    """
    theirs, found, info = load.load_module(os.path.expanduser(weights))
    check_arguments(model, theirs, info)
    axis = interface.optional(model, "source_axis")
    rows = rows_of(model.sources, theirs.sources, info["path"], log) if axis is not None else None
    outputs = interface.optional(model, "source_outputs")
    same = tuple(theirs.sources) == tuple(model.sources)
    if axis is None and not outputs and not same:
        raise UserError(
            f"{info['path']}: separates {', '.join(theirs.sources)}; its weights are not separate "
            f"for each source, so config.model.args.sources must be {tuple(theirs.sources)!r}"
        )
    if outputs and not same:
        log(taken_and_drawn(model.sources, theirs.sources, info["path"]))

    def pick(path, ours, value):
        picked = np.asarray(value)
        if rows is not None:
            picked = np.take(picked, rows, axis)
        elif not same:
            _, *names = (step.key for step in path)
            at = [place for name, place in outputs.items() if re.fullmatch(name, "/".join(names))]
            if at:
                picked = with_sources(ours, picked, model.sources, theirs.sources, at[0])
        if picked.shape != ours.shape:
            raise UserError(
                f"{info['path']}: {jax.tree_util.keystr(path)} is {picked.shape}, "
                f"wanted {ours.shape}"
            )
        return np.asarray(picked, ours.dtype)

    try:
        return jax.tree_util.tree_map_with_path(pick, variables, {k: found[k] for k in variables})
    except (KeyError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(
            f"{info['path']}: does not fit the config: its arrays are different"
        ) from error


def rows_of(sources, known, path, log: Callable) -> list[int]:
    """For each of our sources, the index of the one among theirs that it begins as."""
    spare, rows = known.index("other") if "other" in known else 0, []
    for source in sources:
        if source in known:
            rows.append(known.index(source))
        else:
            rows.append(spare)
            log(f"{source}: begins as a copy of {known[spare]} in {path}")
    return rows


def taken_and_drawn(sources, known, path) -> str:
    """Say which sources' outputs come from given weights, and which are drawn."""
    taken = [source for source in sources if source in known]
    drawn = [source for source in sources if source not in known]
    left = [source for source in known if source not in sources]
    parts = [f"{', '.join(names)} {what}" for names, what in (
        (taken, "taken"), (drawn, "drawn anew"), (left, "left out")) if names]  # fmt: skip
    return f"{path}: outputs of {'; '.join(parts)}"


def with_sources(ours: np.ndarray, theirs: np.ndarray, sources, known, axis: int) -> np.ndarray:
    """`ours` with the parts of an axis that `theirs` has for sources of the same names.

    Arrays whose parts have other shapes stay what `theirs` is, which then fits nowhere.
    """
    parts = np.split(np.asarray(ours), len(sources), axis)
    given = dict(zip(known, np.split(theirs, len(known), axis), strict=True))
    made = np.concatenate(
        [given.get(name, part) for name, part in zip(sources, parts, strict=True)], axis
    )
    return made if made.shape == ours.shape else theirs


def check_arguments(model: nn.Module, theirs: nn.Module, info: dict) -> None:
    """Raise UserError unless weights of `theirs` mean the same in `model`."""
    if type(theirs) is not type(model):
        raise UserError(f"{info['path']}: does not fit the config: is a model {info['model']!r}")
    wanted, got = arguments(model), arguments(theirs)
    moved = info.get("export", {})  # changed when weights are loaded for separation
    different = [
        f"model.args.{key} is {wanted[key]!r}, theirs {got.get(key)!r}"
        for key in sorted(set(wanted) - set(moved))
        if wanted[key] != got.get(key)
    ]
    if different:
        raise UserError(f"{info['path']}: does not fit the config: {'; '.join(different)}")


def arguments(model: nn.Module) -> dict:
    """What a model's weights mean, except for its sources' names and what shapes show anyway."""
    free = {"parent", "name", "sources", "dropout", "max_bin", "bandwidth_hz", "filter", "compute"}
    free |= set(interface.TRAINING_FIELDS)
    names = set(type(model).__dataclass_fields__) - free
    return json.loads(json.dumps({name: getattr(model, name) for name in names}))
