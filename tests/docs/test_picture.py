"""The picture of the README is what its command draws."""

import tomllib
from xml.etree import ElementTree

import numpy as np
import pytest
from documentation import DOCS, ROOT, docs_module
from PIL import Image

make_picture = docs_module("make_picture")


@pytest.mark.slow
def test_the_picture_is_what_the_command_draws(tmp_path, capsys):
    make_picture.main(["--out", str(tmp_path / "a.png")])
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'a.png'}: ")
    drawn, kept = (
        np.asarray(Image.open(path).convert("RGB"), np.int16)
        for path in (tmp_path / "a.png", make_picture.OUT)
    )
    # five panels, the mixture's in the middle above
    assert drawn.shape == kept.shape and drawn.shape[2] == 3
    assert np.abs(drawn - kept).mean() < 2  # other versions draw letters and edges otherwise
    assert (drawn[: drawn.shape[0] // 3, 0] == make_picture.pictures.PAPER).all()


def test_the_picture_is_small_and_shown():
    assert make_picture.OUT.stat().st_size < 300_000
    name = make_picture.OUT.relative_to(ROOT).as_posix()
    assert f"]({name})" in (ROOT / "README.md").read_text()
    assert f"]({name.removeprefix('docs/')})" in (DOCS / "index.md").read_text()


def test_the_floors_are_those_that_imports_are_checked_by():
    make_floors = docs_module("make_floors")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    # else: python docs/make_floors.py
    assert make_floors.OUT.read_text() == make_floors.draw(make_floors.floors(project))


def test_floors_are_drawn_from_the_highest_down():
    make_floors = docs_module("make_floors")
    layers = {"containers": ["xumx_jax"], "layers": ["__main__", "cli", "evaluation | training"]}
    contracts = [{"containers": ["pipelines"], "layers": ["tracks"]}, {}, layers]
    rooms = make_floors.floors({"tool": {"importlinter": {"contracts": contracts}}})
    assert rooms == [["cli"], ["evaluation", "training"]]
    picture = make_floors.draw(rooms)
    ElementTree.fromstring(picture)
    assert picture.index(">cli<") < picture.index(">training<")
