"""Which versions of packages are in use, ours among them."""

import tomllib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

OURS = "xumx_jax"
PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def own() -> str:
    """Our version: the checkout's if this runs from one, else that of the installed package.

    In this order, because a checkout changes while its editable install keeps its first version.
    """
    if found := checkout():
        return found["version"]
    try:
        return version(OURS)
    except PackageNotFoundError:
        return "unknown"


def checkout() -> dict[str, Any] | None:
    """The [project] table of the checkout that this runs from; None if it was installed."""
    try:
        found = tomllib.loads(PROJECT.read_text())["project"]
    except (OSError, ValueError, KeyError):
        return None
    return found if found.get("name") == OURS else None


def installed(names: Iterable[str]) -> dict[str, str]:
    """{package: version} of those that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = own() if name == OURS else version(name)
        except PackageNotFoundError:
            continue
    return found
