"""What CONTRIBUTING.md, RELEASING.md and the workflows name is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.M))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
BOOKS = [ROOT / "CONTRIBUTING.md", ROOT / "RELEASING.md", ROOT / "SECURITY.md"]
SCRIPTS = [ROOT / ".ci" / "run", ROOT / ".ci" / "release"]


@pytest.mark.parametrize("path", [*BOOKS, *WORKFLOWS, *SCRIPTS], ids=lambda path: path.name)
def test_every_make_target_exists(path):
    found = re.findall(r"(?:`|run: |part |^ +|^)make ((?:[a-z][a-z-]* ?)+)", path.read_text(), re.M)
    named = {name for words in found for name in words.split() if not name.endswith("-")}
    assert named <= TARGETS, named - TARGETS
    assert named or path.name == "SECURITY.md"


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.name)
def test_every_file_exists(path):
    names = re.findall(r"`((?:\w+/|\.ci/)[\w./]*\w(?:\.\w+)?)/?`", path.read_text())
    for name in names:
        assert name.startswith(("dist", "shared")) or (ROOT / name).exists(), name


def test_continuous_integration_runs_what_a_change_must_pass():
    wanted = {line.split("#")[0].strip() for line in SCRIPTS[0].read_text().splitlines()}
    wanted = {line.removeprefix("part ") for line in wanted if line.startswith("part make")}
    ran = {
        run.removesuffix(" PYTHON=python")
        for path in WORKFLOWS
        for run in re.findall(r"- run: (.+)", path.read_text())
    }
    # full depth takes too long for every change
    assert wanted | {"make parity-full"} == ran


def test_what_is_marked_phony_exists():
    phony = {
        name for line in re.findall(r"^\.PHONY: (.+)", MAKEFILE, re.M) for name in line.split()
    }
    assert phony == TARGETS
