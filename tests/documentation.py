"""The documentation as the tests see it: its pages, their code, and what builds them."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
sys.path.append(str(DOCS))  # as mkdocs has it, for modules there that import others


def docs_module(name: str) -> ModuleType:
    """A module that lies in docs/, which is no package."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pages() -> list[str]:
    """All pages, relative to docs/, sorted."""
    return sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


def code_of(page: str, file: str = "") -> str:
    """The Python of a page, in its order: that of a file, or all that has no file's name.

    Each line stands where it stands in the page, so a traceback names the line of the page.
    """
    wanted = f'```python title="{file}"' if file else "```python"
    lines, inside = [], False
    for line in (DOCS / page).read_text().splitlines():
        fence = line.startswith("```")
        lines.append("" if fence or not inside else line)
        if fence:
            inside = not inside and line == wanted
    return "\n".join(lines)


def run(page: str, names: dict) -> dict:
    """Execute the Python of a page with some names given -> all names."""
    names = {"__name__": f"docs_{re.sub(r'[^a-z]', '_', page)}"} | names
    exec(compile(code_of(page), str(DOCS / page), "exec"), names)
    return names


def add_modules(page: str, monkeypatch) -> None:
    """Make modules of the blocks that have a file's name, where that file would be."""
    for file in re.findall(r'^```python title="([^"]+)"', (DOCS / page).read_text(), re.M):
        name = file.removesuffix(".py").replace("/", ".")
        module = ModuleType(name)
        parent, _, last = name.rpartition(".")
        monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(importlib.import_module(parent), last, module, raising=False)
        exec(compile(code_of(page, file), str(DOCS / page), "exec"), module.__dict__)


def shell_lines(text: str) -> list[str]:
    """The lines of indented blocks that are commands, without their comments."""
    found = re.findall(r"^ {4}((?:python|xumx|make|pip|source) .*)$", text, re.M)
    return [re.split(r"\s{2,}#|\s>\s", line)[0].strip() for line in found]
