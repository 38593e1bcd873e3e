"""Name and change configs on the command line."""

import ast
import runpy
from pathlib import Path

from ml_collections import ConfigDict

from configs.common import arguments, base
from xumx_jax import files
from xumx_jax.errors import UserError
from xumx_jax.training.config_checks import flatten, nearest

OURS = Path(__file__).parent
MAY_BE_NONE = {"optimizer.plateau.patience"}  # in addition to those that are None by default


def read(name: str) -> ConfigDict:
    """Read the config "FILE.py", or one of ours by name, with or without ":VARIANT" at the end.

    Ours are found as "xumx", "xumx.py" or "configs/xumx.py" from any folder. Raises UserError if
    there is none.
    """
    file, _, variant = name.partition(":")
    path = files.expanded(file)
    if not path.is_file() and path.parent in (Path(), Path("configs")):
        path = OURS / f"{path.stem}.py"
    if not path.is_file():
        raise UserError(f"{file}: no such file; use --config configs/NAME.py")
    made = runpy.run_path(str(path)).get("get_config")
    if made is None:
        raise UserError(f"{file}: no function get_config in it")
    return made(variant)


def override(config: ConfigDict, arguments: list[str]) -> ConfigDict:
    """Apply "--config.KEY=VALUE" (or two words) to a config and return it.

    Raises UserError for anything else, for an unknown key (naming the nearest one), and for a value
    of the wrong type.
    """
    given = pairs(arguments)
    for key, text in given:
        if key == "model.name" and text is not None:
            take_model(config, text)
    known = flatten(config.to_dict())
    defaults = flatten(base(config.model.name).to_dict())
    optional = {key for key, value in defaults.items() if value is None} | MAY_BE_NONE
    for key, text in given:
        if key not in known:
            raise UserError(f"unknown key config.{key}{nearest(key, known, 'config.')}")
        if text is None:
            raise UserError(f"config.{key}: no value given")
        *path, last = key.split(".")
        place = config
        for name in path:
            place = place[name]
        try:
            value = literal(text, place.get_type(last))
            if value is None and key not in optional:
                raise TypeError("a config takes None for any value, but not this one")
            place[last] = value
        except (TypeError, ValueError, SyntaxError) as error:
            kind = place.get_type(last).__name__
            raise UserError(f"config.{key}: got {text!r}, wanted {kind}") from error
    return config


def pairs(arguments: list[str]) -> list[tuple[str, str | None]]:
    """Split words into [(key, value as written)], None for a last key without a value.

    Raises UserError for a word that is neither.
    """
    words, found = list(arguments), []
    while words:
        word = words.pop(0)
        if not word.startswith("--config."):
            raise UserError(f"unknown argument {word!r}; wanted --config.KEY=VALUE")
        key, equals, text = word.removeprefix("--config.").partition("=")
        if not equals:
            text = words.pop(0) if words else None
        found.append((key, text))
    return found


def take_model(config: ConfigDict, name: str) -> None:
    """Give a config another model's arguments.

    Arguments that both models have keep the values that the recipe changed; defaults of its own
    model become the other model's defaults.
    """
    before, args = arguments(config.model.name).to_dict(), arguments(name)

    def fits(key, value) -> bool:
        return key in args and isinstance(value, args.get_type(key))

    for key, value in config.model.args.to_dict().items():
        if value != before.get(key) and fits(key, value):
            args[key] = value
    config.export = {key: value for key, value in config.export.items() if fits(key, value)}
    config.model.name, config.model.args = name, args


def literal(text: str, kind: type):
    """Parse a Python value; strings need no quotes where a string is expected."""
    if kind is str:
        return text
    if kind is bool and text.lower() in ("true", "false"):
        return text.lower() == "true"
    value = ast.literal_eval(text)
    if isinstance(value, bool) and kind in (int, float):
        raise TypeError("a bool is a number in Python, but not here")
    return value
