"""What the repository says of itself is true: versions, pins, and the commands of the README."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from xumx_jax import cli

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()


def pins():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


def test_every_direct_dependency_is_pinned_to_a_version_it_allows():
    extras = PROJECT["optional-dependencies"]
    ours = [Requirement(text) for group in extras.values() for text in group if "jax[" not in text]
    for wanted in [*map(Requirement, PROJECT["dependencies"]), *ours]:
        assert pins()[canonicalize_name(wanted.name)] in wanted.specifier, wanted


def test_citation_and_changes_know_the_version():
    assert f"\nversion: {PROJECT['version']}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"\n## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text()


def test_readme_is_short():
    assert 80 <= len(README.splitlines()) <= 170


def test_documentation_names_every_command():
    texts = [README, *(path.read_text() for path in (ROOT / "docs").rglob("*.md"))]
    for name in cli.parser()._subparsers._group_actions[0].choices:
        assert any(f"xumx {name}" in text for text in texts), name


@pytest.mark.parametrize("path", ["README.md", "MODEL_CARD.md", "bench/RESULTS.md"])
def test_commands_exist(path):
    text = (ROOT / path).read_text()
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.M))
    assert set(re.findall(r"(?:`|^ +)make ([a-z-]+)", text, re.M)) <= targets
    scripts = re.findall(r"python ((?:[a-z_]+/)*[a-z_]+\.py)", text)
    linked = re.findall(r"\]\((?!http)([^)]+)\)", text)
    for name in [*scripts, *linked, *re.findall(r"configs/[a-z]+\.py", text)]:
        assert (ROOT / name).is_file(), name
