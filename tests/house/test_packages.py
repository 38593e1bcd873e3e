"""The first docstring of every package says what is there: its list names modules that exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = sorted(
    path.parent.relative_to(ROOT).as_posix()
    for top in ("xumx_jax", "pipelines")
    for path in (ROOT / top).rglob("__init__.py")
)
ROW = re.compile(r"([a-z0-9_/]+(?:, [a-z0-9_/]+)*) {2,}\S")


def docstring(package: str) -> str:
    tree = ast.parse((ROOT / package / "__init__.py").read_text())
    return ast.get_docstring(tree) or ""


def names_in(text: str) -> set[str]:
    """Names at the start of the rows of a list: "a, b/   what they are"."""
    rows = [ROW.match(line) for line in text.splitlines()]
    return {name.rstrip("/") for row in rows if row for name in row[1].split(", ")}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_says_what_is_there(package):
    text = docstring(package)
    assert text
    named = names_in(text)
    folder = ROOT / package
    source = (folder / "__init__.py").read_text().replace(text, "")
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__", "__main__"}
    modules |= {path.parent.name for path in folder.glob("*/__init__.py")}
    unknown = {name for name in named - modules if not re.search(rf"\b{name}\b", source)}
    assert not unknown
    if named & modules:
        assert not modules - named


def test_sentences_are_not_rows():
    assert names_in("What, it is.\n\na, b_c/   two\nd  one\nand one more\n") == {"a", "b_c", "d"}
