"""`xumx train` and `xumx evaluate`: train.py and evaluate.py, wherever this package is installed.

Their code is `train.py`, `configs/` and `pipelines/`. It is beside the package in a checkout, and
in the package's folder `recipes` in a wheel: as separate packages in site-packages, `configs` and
`pipelines` would hide folders that users give these names. Only these two commands import from
there, before any other place.
"""

import importlib.util
import sys
from pathlib import Path
from typing import NoReturn

from xumx_jax.errors import UserError

PACKAGE = Path(__file__).parents[1]
PLACES = (PACKAGE / "recipes", PACKAGE.parent)  # in a wheel, in a checkout
# The extra to install for each, and one of its packages that the core does not need.
EXTRAS = {"train": ("train", "optax"), "evaluate": ("eval", "matplotlib")}


def run(name: str, arguments: list[str]) -> int:
    """Run `train` or `evaluate` with the arguments that follow it -> the exit status.

    Raises UserError if their code or the packages they need are not installed.
    """
    add_place(name)
    extra, wanted = EXTRAS[name]
    if importlib.util.find_spec(wanted) is None:
        raise UserError(f"{name} needs more packages; pip install 'xumx_jax[{extra}]'")
    sys.argv[:] = [f"xumx {name}", *arguments]  # for their usage texts
    return _evaluate(arguments) if name == "evaluate" else _train(arguments)


def add_place(name: str) -> None:
    """Let Python find the code of `train` and `evaluate`, before any other of its names.

    Raises UserError if it is not installed.
    """
    place = next((place for place in PLACES if (place / "pipelines" / "evaluation").is_dir()), None)
    if place is None:
        raise UserError(
            f"{name} is not part of this installation; install the wheel, or run it from a clone"
        )
    if sys.path[:1] != [str(place)]:
        sys.path.insert(0, str(place))


def _train(arguments) -> NoReturn:
    from train import main
    from xumx_jax.training.distributed import leave

    leave(main(arguments))


def _evaluate(arguments) -> int:
    from pipelines.evaluation.command import main

    return main(arguments, prog="xumx evaluate")
