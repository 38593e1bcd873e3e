"""Read YAML that programs write beside their weights, without making anything that it names.

PyYAML's safe loader, to which tuples are known as Python's programs tag them. What no program
writes there, and an attack would, is refused: tags of objects, aliases, of which a few lines can
stand for any amount, and files beyond LARGEST. So are keys that occur twice.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from xumx_jax.errors import UserError

LARGEST = 2**18  # bytes; published ones have some thousands
TUPLE = "tag:yaml.org,2002:python/tuple"
# 1e-3, to YAML 1.1 a text; without a sign, 955717e8 is a name of Demucs's
EXPONENT = re.compile(r"[-+]?[0-9]+[eE][-+][0-9]+$")


class Loader(yaml.SafeLoader):
    """Raises yaml.YAMLError on what the module's docstring names."""

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="it has an alias, which is not read")
        return super().compose_node(parent, index)

    def construct_mapping(self, node, deep=False):
        known = set()
        for key, _ in node.value:
            if key.value in known and isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key.value[:40]!r} occurs twice", problem_mark=key.start_mark
                )
            known.add(key.value if isinstance(key, yaml.ScalarNode) else None)
        return super().construct_mapping(node, deep)

    def made_tuple(self, node):
        """A tuple of a list; lists in it are complete, not filled later."""
        if not isinstance(node, yaml.SequenceNode):
            self.refuse(node)
        return tuple(self.construct_sequence(node, deep=True))

    def refuse(self, node):
        raise yaml.MarkedYAMLError(
            problem=f"hostile, or no configuration: it has a tag {node.tag[:80]!r}",
            problem_mark=node.start_mark,
        )


Loader.add_constructor(TUPLE, Loader.made_tuple)
Loader.add_constructor(None, Loader.refuse)  # pyright: ignore[reportArgumentType]: any other tag
Loader.add_implicit_resolver("tag:yaml.org,2002:float", EXPONENT, list("-+0123456789"))


def read(path: Path) -> Any:
    """What a file holds. Raises UserError, in one line that names it, if it cannot be read."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    if len(data) > LARGEST:
        raise UserError(f"{path}: it has more than {LARGEST} bytes; wanted a configuration")
    try:
        return parse(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a text in UTF-8") from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def parse(text: str) -> Any:
    """What a text says. Raises UserError in one line."""
    try:
        return yaml.load(text, Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}: " if mark else ""
        raise UserError(f"{place}{one_line(error.problem or error.context)}") from error
    except (
        yaml.YAMLError,
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        raise UserError(f"not YAML ({one_line(error)})") from error
    except RecursionError as error:
        raise UserError("too many lists within lists") from error


def one_line(problem: Any) -> str:
    return " ".join(str(problem).split())[:200]
