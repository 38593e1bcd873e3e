"""The identity of a run: two configs with the same identity train the same weights.

A run is identified by what it uses: its model, its loss with the options of that loss, its data set
with its options, optimizer, recipe and everything else, except for what only decides where, how
fast or how long it runs. So a new loss, data set or option changes no run that does not use it: a
key that a config lacks counts as its default.
"""

import json
from typing import Any, NamedTuple

from xumx_jax.models import interface, model_class
from xumx_jax.training.config_checks import flatten

CHOICES = ("loss", "data")  # parts with options for each of the things that `name` chooses from


class Defaults(NamedTuple):
    """What a config file declares besides the values of its options.

    values  {"a.b": default} for every option
    free    options, or parts above them, that may change between one start of a run and the next
    """

    values: dict[str, Any] = {}
    free: tuple[str, ...] = ()


def differences(theirs: dict, ours: dict, defaults: Defaults) -> list[str]:
    """List the options in which the runs of two configs differ: "key was theirs, now ours"."""
    theirs, ours = (identity(config, defaults) for config in (theirs, ours))
    args = interface.fields(model_class(ours["model.name"]))
    known = defaults.values | {f"model.args.{name}": value for name, value in args.items()}
    known = json.loads(json.dumps(known, default=repr))
    lines = []
    for key in sorted({*theirs, *ours}):
        was, now = (config.get(key, known.get(key)) for config in (theirs, ours))
        if was != now:
            lines.append(f"{key} was {was!r}, now {now!r}")
    return lines


def identity(config: dict, defaults: Defaults) -> dict[str, Any]:
    """{"a.b": value} for the options that a run uses and that are not free, as JSON values."""
    flat = flatten(json.loads(json.dumps(config)))  # tuples become lists
    free = set(defaults.free)
    phases = [changes for _, changes in flat.get("phases", ())]
    if any(part.get("optimizer.schedule", "constant") != "constant" for part in (flat, *phases)):
        free.discard("train.epochs")  # the rate follows them
    return {
        key: value
        for key, value in flat.items()
        if used(key, flat) and not any(key == f or key.startswith(f"{f}.") for f in free)
    }


def used(key: str, config: dict) -> bool:
    """Return whether a run uses an option: it does not use those of other losses and data sets."""
    part, *path = key.split(".")
    if part not in CHOICES or len(path) < 2:
        return True
    chosen = config.get(f"{part}.name")
    return chosen == "auto" or path[0] == chosen
