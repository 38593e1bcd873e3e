"""What of a config makes a run what it is: two configs that agree in it train the same weights.

A run is what it uses: its model, its loss with that loss's options, its data set with that one's,
optimizer, recipe and all else but for what only decides where, how fast or how long it runs. So a
loss, a data set or an option that is new changes no run that does not use it: a key that a config
lacks counts as its default.
"""

import json
from typing import Any, NamedTuple

from xumx_jax.models import MODELS, interface
from xumx_jax.training.config_checks import flatten

CHOICES = ("loss", "data")  # parts that hold options of each thing that `name` chooses from


class Defaults(NamedTuple):
    """What a config file declares beside the values of its options.

    values  {"a.b": default} of every option
    free    options, or parts above them, that may change between one start of a run and the next
    """

    values: dict[str, Any] = {}
    free: tuple[str, ...] = ()


def differences(theirs: dict, ours: dict, defaults: Defaults) -> list[str]:
    """Name the options in which the runs of two configs differ: "key was theirs, now ours"."""
    theirs, ours = (identity(config, defaults) for config in (theirs, ours))
    args = interface.fields(MODELS[ours["model.name"]])
    known = defaults.values | {f"model.args.{name}": value for name, value in args.items()}
    known = json.loads(json.dumps(known, default=repr))
    lines = []
    for key in sorted({*theirs, *ours}):
        was, now = (config.get(key, known.get(key)) for config in (theirs, ours))
        if was != now:
            lines.append(f"{key} was {was!r}, now {now!r}")
    return lines


def identity(config: dict, defaults: Defaults) -> dict[str, Any]:
    """{"a.b": value} of the options that a run uses and that are not free, as JSON has values."""
    flat = flatten(json.loads(json.dumps(config)))  # tuples become lists
    free = set(defaults.free)
    if flat.get("optimizer.schedule", "constant") != "constant":
        free.discard("train.epochs")  # the rate follows them
    return {
        key: value
        for key, value in flat.items()
        if used(key, flat) and not any(key == f or key.startswith(f"{f}.") for f in free)
    }


def used(key: str, config: dict) -> bool:
    """Say whether a run looks at an option: not at those of other losses and data sets."""
    part, *path = key.split(".")
    if part not in CHOICES or len(path) < 2:
        return True
    chosen = config.get(f"{part}.name")
    return chosen == "auto" or path[0] == chosen
