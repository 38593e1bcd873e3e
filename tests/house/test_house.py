"""What the repository says of itself is true: versions, pins, and the commands of the README."""

import re
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
from documentation import docs_module
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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


def pages():
    """Every text that tells what to type, relative to the root."""
    docs = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))
    return ["README.md", "MODEL_CARD.md", "bench/RESULTS.md", *docs]


@pytest.mark.parametrize("path", pages())
def test_commands_exist(path):
    text = (ROOT / path).read_text()
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.M))
    assert set(re.findall(r"(?:`|^ +)make ([a-z-]+)", text, re.M)) <= targets
    scripts = re.findall(r"python ((?:[a-z_]+/)*[a-z_]+\.py)", text)
    for name in [*scripts, *re.findall(r"(?:configs|examples|bench)/[a-z_]+\.[a-z]+", text)]:
        assert (ROOT / name).is_file(), name
    for name in re.findall(r"python -m ((?:pipelines|xumx_jax)[a-z_.]*)", text):
        assert find_spec(name) is not None, name


@pytest.mark.parametrize("path", pages())
def test_links_lead_somewhere(path):
    text = re.sub(r"^```.*?^```", "", (ROOT / path).read_text(), flags=re.M | re.S)
    made = {ROOT / "docs" / page for page in docs_module("hooks").ROOT_PAGES}
    for target in re.findall(r"\]\((?!http|#)([^)#\s]+)", text):
        place = (ROOT / path).parent.joinpath(target).resolve()
        assert place.is_file() or place in made, target
