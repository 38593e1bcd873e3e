"""What the repository says of itself is true: versions, pins, and the commands of the README."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import xumx_jax
from xumx_jax import cli, versions

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


def test_the_version_is_that_of_the_project(capsys):
    assert xumx_jax.__version__ == PROJECT["version"]
    with pytest.raises(SystemExit) as left:
        cli.main(["--version"])
    assert left.value.code == 0 and capsys.readouterr().out == f"xumx {PROJECT['version']}\n"


def test_an_installed_package_takes_its_version_from_its_metadata(monkeypatch):
    monkeypatch.setattr(versions, "PROJECT", ROOT / "no such file")
    monkeypatch.setattr(versions, "version", lambda name: {"xumx_jax": "9.8.7"}[name])
    assert xumx_jax.__version__ == "9.8.7"


def test_a_project_of_another_name_beside_the_package_is_not_ours(monkeypatch, tmp_path):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "other"\nversion = "5"\n')
    monkeypatch.setattr(versions, "PROJECT", tmp_path / "pyproject.toml")
    assert versions.checkout() is None


def test_the_module_is_the_program():
    command = [sys.executable, "-m", "xumx_jax", "separate", "--nonsense", "x"]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert ran.returncode == 2 and ran.stderr.startswith("xumx: error: ")


def test_type_checkers_see_the_public_names():
    """Those that `__getattr__` finds, `__all__` lists and editors read are the same."""
    text = Path(xumx_jax.__file__).read_text()
    block = text.split("if TYPE_CHECKING:")[1].split("\nPUBLIC")[0]
    imported = re.findall(r"from ([\w.]+) import (.+)", block)
    found = {name.strip(): module for module, names in imported for name in names.split(",")}
    assert found == xumx_jax.PUBLIC
    assert xumx_jax.__all__ == [*xumx_jax.PUBLIC, "__version__"]
