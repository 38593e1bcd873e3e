"""The state that a run begins with: fresh weights and input statistics, or somebody's weights."""

import json
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from xumx_jax import runtime
from xumx_jax.errors import UserError
from xumx_jax.training import distributed, state
from xumx_jax.training.statistics import apply_moments, cached_moments
from xumx_jax.weights import load


def begin(
    shapes: state.State, fresh: Callable, model, data, weights: str | None, log
) -> state.State:
    """The first state of a run; `fresh()` draws it from the seed, `shapes` is what it draws.

    With `weights`, a name or path of whatever `separate.py --model` takes, their statistics are
    kept as well, as in Open-Unmix's fine-tuning; else those of the training mixes are taken.
    """
    now = jax.jit(fresh)()
    if weights:
        variables = None
        if distributed.first():
            variables = adopted(weights, model, jax.device_get(now.variables()), log)
        shape_of = {"params": shapes.params, "batch_stats": shapes.batch_stats}
        blank = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shape_of)
        variables = distributed.share(blank if variables is None else variables)
        now = now.replace(**variables)
    else:
        bins = shapes.params["enc"]["mean"].shape[-1]
        found = (np.zeros(bins), np.zeros(bins))
        if distributed.first():
            log(f"input statistics of {data.tracks} tracks ...")
            folder = runtime.cache_folder() / "statistics"
            *found, cached = cached_moments(model, data.mixes, data.fingerprint, folder)
            if cached:
                log(f"input statistics: as kept in {folder}")
        now = now.replace(params=apply_moments(now.params, *distributed.share(tuple(found))))
    return now if now.average is None else state.with_average(now)


def adopted(weights: str, model: nn.Module, variables: dict, log: Callable) -> dict:
    """Fit somebody's weights to `model`: {"params", "batch_stats"}, like `variables`.

    Sources are matched by name. One that the weights do not know begins as a copy of their "other",
    or else of their first: a trained network is a better start for a new stem than a random one.
    """
    theirs, found, info = load.load_module(weights)
    wanted, got = arguments(model), arguments(theirs)
    moved = info.get("export", {})  # changed when they are loaded to separate
    different = [
        f"model.args.{key} is {wanted[key]!r}, theirs {got.get(key)!r}"
        for key in sorted(set(wanted) - set(moved))
        if wanted[key] != got.get(key)
    ]
    if different:
        raise UserError(f"{info['path']}: does not fit the config: {'; '.join(different)}")
    spare = theirs.sources.index("other") if "other" in theirs.sources else 0
    rows = []
    for source in model.sources:
        if source in theirs.sources:
            rows.append(theirs.sources.index(source))
        else:
            rows.append(spare)
            log(f"{source}: begins as a copy of {theirs.sources[spare]} in {info['path']}")

    def pick(path, ours, value):
        # [source, ...]
        picked = np.asarray(value)[np.asarray(rows)]
        if picked.shape != ours.shape:
            raise UserError(
                f"{info['path']}: {jax.tree_util.keystr(path)} is {picked.shape}, "
                f"wanted {ours.shape}"
            )
        return jnp.asarray(picked, ours.dtype)

    parts = {name: variables[name] for name in ("params", "batch_stats")}
    return jax.tree_util.tree_map_with_path(pick, parts, {name: found[name] for name in parts})


def arguments(model: nn.Module) -> dict:
    """What a model's weights mean, but for its sources' names and what their shapes show anyway."""
    free = {"parent", "name", "sources", "axis_name", "dropout", "dtype", "max_bin", "bandwidth_hz"}
    names = set(type(model).__dataclass_fields__) - free
    return json.loads(json.dumps({name: getattr(model, name) for name in names}))
