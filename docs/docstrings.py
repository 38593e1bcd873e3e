"""Docstrings as this project writes them, made into Markdown that shows what a terminal shows.

A terminal shows

    chunk_seconds   what is separated at a time
    overlap         what neighbouring chunks share,
                    0 <= R < 1

as it stands; Markdown would make one paragraph of it. Such blocks become lists. Brackets of axes,
`[channel, time]`, stay text.
"""

import re

from griffe import Extension

# a name or several, two blanks or more, then words; or a name alone with its words far right
ROW = re.compile(r"^([A-Za-z_][\w.,*=\"' -]*?) {2,}(\S.*)$")


class Docstrings(Extension):
    """Rewrites every docstring before it is parsed."""

    def on_instance(self, *, obj, **_):
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
    """Turn aligned blocks of names and explanations into lists; leave all else alone."""
    made = []
    for block in re.split(r"\n[ \t]*\n", text):
        if not block.startswith("    "):  # that is code
            rows = rows_of(block.splitlines())
            if rows:
                block = "\n".join(f"- `{name}`: {words}" for name, words in rows)
            block = as_text(block)
        made.append(block)
    return "\n\n".join(made)


def as_text(block: str) -> str:
    """Brackets that follow each other, as in `clips [source][track]`, would be a link."""
    parts = block.split("`")
    return "`".join(p if i % 2 else p.replace("][", "]\\[") for i, p in enumerate(parts))


def rows_of(lines: list[str]) -> list[tuple[str, str]]:
    """(names, explanation) of each row of a block; nothing if the block is none of that kind."""
    rows = []
    for line in lines:
        found = ROW.match(line)
        if found:
            rows.append((found[1].strip(), found[2].strip()))
        elif rows and line.startswith(" "):
            rows[-1] = (rows[-1][0], f"{rows[-1][1]} {line.strip()}")
        else:
            return []
    return rows
