"""`--model`, once or several times: names or paths with weights, and what separates with them."""

import os
import re
from math import isfinite

from xumx_jax.errors import UserError

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.I)


def add(group) -> None:
    """Add the option to a parser or a group of one."""
    group.add_argument(
        "--model",
        action="append",
        metavar="NAME|PATH[:W]",
        help="a name of `xumx models` (downloaded once), demo (bundled), or a path: .safetensors, "
        ".h5, .pth or a folder; default: x-umx, or demo where that cannot be had. Given several "
        "times, the models' stems are averaged, with weights if there are any: a:0.7",
    )


def parse(given) -> list[tuple[str | None, float]]:
    """What was given -> (name or path, weight) each; nothing is the default model.

    What exists as a path is one, colon or not. Raises UserError on a weight that is not positive.
    """
    return [_parse(text) for text in given] if given else [(None, 1.0)]


def _parse(text):
    name, colon, tail = text.rpartition(":")
    if not (colon and name and _NUMBER.fullmatch(tail)) or os.path.exists(text):
        return text, 1.0
    weight = float(tail)
    if not (isfinite(weight) and weight > 0):
        raise UserError(f"--model {text}: the weight is {tail}; wanted a positive number")
    return name, weight


def load(given, options: dict):
    """Load what `parse` found -> (Separator or Ensemble, what is known of each model).

    `options` are the Separator's. Raises UserError.
    """
    from xumx_jax.separation.separator import Separator
    from xumx_jax.weights.load import load_module

    members, infos = [], []
    for name, weight in given:
        module, variables, info = load_module(name)
        members.append((Separator(module, variables, **options), weight))
        infos.append({**info, "name": name, "weight": weight})
    if len(members) == 1:
        return members[0][0], infos

    from xumx_jax.separation.bag import Ensemble

    return Ensemble(members), infos


def describe(infos) -> tuple[str, str]:
    """One line about models and device, and the device."""
    import jax

    several = len(infos) > 1
    models = [
        f"{info['name'] or info['path']}"
        + (f" x {info['weight']:g}" if several else "")
        + (f", licence: {info['licence']}" if info.get("licence") else "")
        for info in infos
    ]
    devices = jax.local_devices()
    count = f"{len(devices)} x " if len(devices) > 1 else ""
    device = f"{count}{devices[0].device_kind}"
    return f"model{'s' * several} {'; '.join(models)}; device {device}", device
