"""Tables of the documentation that are read from the code: options, config keys, published models.

`make(name)` gives Markdown. Names: the commands of `xumx`, `evaluate` and `train` (scripts),
`slicq_search`, `preview`, `films`, `launch`, `config.PREFIX` (config keys below it), `data` (data
sets), `augment` (augmentations), `effects`, `zoo`, `tasks` and `reproduce` (published models),
`public` (what `xumx_jax` offers, for mkdocstrings).
"""

import argparse
import inspect
import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PUBLISHED = ("zoo", "tasks", "reproduce")


def make(name: str) -> str:
    """The table of a name. Raises KeyError for an unknown one."""
    head, _, rest = name.partition(".")
    if head == "config":
        return config_table(rest)
    if head in PUBLISHED:
        import published  # beside this file

        return table(getattr(published, head)())
    if head == "public":
        return public_names()
    if head == "augment":
        return augmentation_table()
    if head == "effects":
        return effects_table()
    return data_table() if head == "data" else options_table(parser_of(head))


def parser_of(name: str):
    """The argument parser of a command or script."""
    if name == "evaluate":
        from pipelines.evaluation.command import parser

        return parser()
    if name == "slicq_search":
        from pipelines.slicq_search.command import parser

        return parser()
    if name == "films":
        from pipelines.films.command import parser

        return parser()
    if name == "preview":
        from pipelines.preview import parser

        return parser()
    if name == "launch":
        from xumx_jax.training.launch import parser

        return parser()
    if name == "train":
        import train

        return train.parser()
    from xumx_jax import cli

    return cli.parser()._subparsers._group_actions[0].choices[name]


def options_of(parser) -> set[str]:
    """All long options of a parser but `--help`."""
    strings = {name for action in parser._actions for name in action.option_strings}
    return {name for name in strings if name.startswith("--")} - {"--help"}


def options_table(parser) -> str:
    """One row per option: how it is written, its default, what it does."""
    rows = [("option", "default", "")]
    for action in parser._actions:
        if action.dest in ("help", "debug"):
            continue
        words = (action.help or "").replace("%(default)s", str(action.default))
        words = words.replace("%(default)g", str(action.default)).replace("%%", "%")
        words, default = split_default(words, action)
        rows.append((f"`{written(action)}`", default, words))
    return table(rows)


def written(action) -> str:
    """How an option is given: `--jobs N`, or `INPUT...`."""
    name = action.metavar or action.dest.upper()
    name = "|".join(map(str, action.choices)) if action.choices else name
    many = "..." if action.nargs in ("+", "*") else ""
    if not action.option_strings:
        return f"{name}{many}"
    option = action.option_strings[-1]
    return option if action.nargs == 0 else f"{option} {name}{many}"


def split_default(words: str, action) -> tuple[str, str]:
    """Take "; default: X" out of a help text -> (the rest, X); X is the parser's if not said."""
    found = re.search(r"[;,]?\s*\(?default: ((?:[^;).]|\.(?! ))+)\)?", words)
    if found:
        words = (words[: found.start()] + words[found.end() :]).strip("; ")
        return words, code(found[1].strip())
    if action.nargs == 0:
        return words, "off"
    if action.default in (None, [], argparse.SUPPRESS):
        return words, ""
    default = action.default
    return words, code(" ".join(default) if isinstance(default, list) else default)


def config_table(prefix: str) -> str:
    """The keys of the config below a prefix, their defaults, and what the code says about each.

    Keys have the order in which the code explains them.
    """
    from configs import common
    from xumx_jax.training.config_checks import flatten

    values = {
        key: value
        for key, value in flatten(common.base().to_dict()).items()
        # the options of data sets have a table of their own
        if key.startswith(f"{prefix}.") and not (prefix == "data" and key.count(".") > 1)
    }
    if not values:
        raise KeyError(f"no config key begins with {prefix}")
    said = explanations(prefix, list(values))
    rows = [("key", "default", "")]
    for key in dict.fromkeys((*said, *values)):
        value = values[key]
        shown = "not used" if value is None else code(repr(value) if value == "" else value)
        rows.append((f"`{key}`", shown, said.get(key, "")))
    return table(rows)


def explanations(prefix: str, keys: list[str]) -> dict[str, str]:
    """{key: words}, in the order of the code.

    Most are comments of `configs/common.py`; a model's arguments and the options of losses are
    explained in docstrings.
    """
    from configs import common
    from xumx_jax import losses
    from xumx_jax.models.umx import UMX

    source = inspect.getsource(common.Recipe if prefix == "recipe" else common)
    last = {key.rpartition(".")[2]: key for key in keys}
    said = comments(source, prefix)
    if prefix == "model":
        said |= arguments(UMX.__doc__ or "")
    found = {last[name]: words for name, words in said.items() if name in last}
    if prefix == "loss":
        words = arguments(losses.build.__doc__ or "")
        found = {"loss.name": said["name"]}
        for name, loss in losses.LOSSES.items():
            found |= {f"loss.{name}.{option}": words[option] for option in loss.options}
    return found


def arguments(docstring: str) -> dict[str, str]:
    """{name: words} of the rows `name   words` of a docstring; further lines are indented more."""
    found, last = {}, ""
    for line in textwrap.dedent(docstring.partition("\n")[2]).splitlines():
        if match := re.match(r"([a-z]\w*) {2,}(\S.*)$", line):
            last = match[1]
            found[last] = match[2]
        elif last and line.startswith("  "):
            found[last] += f" {line.strip()}"
        else:
            last = ""
    return found


def comments(source: str, prefix: str) -> dict[str, str]:
    """{key: comment} of lines such as `"epochs": 3,  # how many` and `gain: float = 1  # how much`.

    Only lines of the block that belongs to `config.<prefix>` count, where the source has such
    blocks.
    """
    first = source.find(f"config.{prefix} = ")
    if first >= 0:
        rest = source[first + 1 :]
        after = re.search(rf"\n    config\.(?!{re.escape(prefix)}\.)", rest)
        source = rest[: after.start()] if after else rest
    found, last = {}, None
    line = re.compile(r"^\s*(?:.*\{)?\"?(?:\w+\.)*(\w+)\"?(?:: [^=]+? =|:| =) .*?  # (.*)$")
    for text in source.splitlines():
        if match := line.match(text):
            last = match[1]
            found[last] = match[2].strip()
        elif last and (match := re.match(r"^\s*# (.*)$", text)):  # goes on below
            found[last] += f" {match[1].strip()}"
        else:
            last = None
    return found


def data_table() -> str:
    """Every data set with its options and their defaults."""
    from pipelines import datasets

    rows = [("name", "options (default)", "")]
    for name, opener in datasets.DATASETS.items():
        options = datasets.options_of(name)
        shown = ", ".join(f"`{key}` ({code(repr(value))})" for key, value in options.items())
        first = textwrap.dedent(opener.__doc__ or "").strip().split("\n\n")[0]
        rows.append((f"`{name}`", shown or "none", " ".join(first.split())))
    return table(rows)


def augmentation_table() -> str:
    """Every augmentation with its options and their defaults."""
    from xumx_jax.augment import AUGMENTATIONS, options_of

    rows = [("`augment`", "options (default)", "")]
    for name, function in AUGMENTATIONS.items():
        options = options_of(name).items()
        shown = ", ".join(f"`{key}` ({code(repr(value))})" for key, value in options)
        rows.append((f"`{name}`", shown or "none", (function.__doc__ or "").partition("\n")[0]))
    return table(rows)


def effects_table() -> str:
    """Every effect of the input pipeline with its options and their defaults."""
    from pipelines.mixing.effects import EFFECTS

    rows = [("effect", "options (default)", "")]
    for name, effect in EFFECTS.items():
        options = list(inspect.signature(effect.draw).parameters.values())[1:]
        shown = ", ".join(f"`{one.name}` ({code(one.default)})" for one in options)
        words = (effect.__doc__ or "").partition("\n")[0]
        package, extra = getattr(effect, "NEEDS", (None, None))
        words += f" Needs {package}: `pip install '.[{extra}]'`" if package else ""
        rows.append((f"`{name}`", shown, words))
    return table(rows)


def public_names() -> str:
    """Every public name of the package, as mkdocstrings is asked for it."""
    import xumx_jax

    return "\n\n".join(f"::: {module}.{name}" for name, module in xumx_jax.PUBLIC.items())


def code(value) -> str:
    return f"`{value}`"


def table(rows) -> str:
    """Rows of cells, the head first -> a Markdown table."""
    lines = [[escaped(str(cell)) for cell in row] for row in rows]
    lines.insert(1, ["---"] * len(rows[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escaped(cell: str) -> str:
    """A cell in which nothing but code is markup; code may hold a bar, which ends a cell."""
    made = []
    for number, part in enumerate(cell.split("`")):
        part = part.replace("<", "&lt;").replace("|", "&#124;")
        made.append(f"<code>{part}</code>" if number % 2 else part)
    return "".join(made)
