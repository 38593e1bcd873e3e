"""The chapter on the sliCQ: its pictures and its table are what its script makes."""

import re

import numpy as np
import pytest
from documentation import DOCS, docs_module, run
from PIL import Image

from xumx_jax.transforms.slicq import SCALES

make_slicq = docs_module("make_slicq")
PAGE = (DOCS / "slicq.md").read_text()


def test_pictures_are_small_and_shown():
    for name in (*make_slicq.PICTURES, "slicq-search.png"):
        assert (make_slicq.IMAGES / name).stat().st_size < 150_000
        assert f"](images/{name})" in PAGE


@pytest.mark.slow
def test_the_pictures_are_what_the_command_draws(tmp_path):
    make_slicq.main(["--out", str(tmp_path)])
    for name in make_slicq.PICTURES:
        drawn, kept = (
            np.asarray(Image.open(folder / name).convert("RGB"), np.int16)
            for folder in (tmp_path, make_slicq.IMAGES)
        )
        assert drawn.shape == kept.shape
        assert np.abs(drawn - kept).mean() < 3  # other versions draw letters and edges otherwise


@pytest.mark.slow
@pytest.mark.usefixtures("quick_compile")
def test_the_table_is_what_is_measured():
    """Of two transforms: one without loss by either rule, and one with."""
    wave, _ = make_slicq.clip()
    for options in make_slicq.MEASURED[1:3]:
        cells = make_slicq.row(wave, options)
        (line,) = re.findall(rf"^\| {re.escape(cells[0])} \|.*$", PAGE, re.M)
        kept = [cell.strip() for cell in line.strip("|").split("|")]
        assert kept[:5] == cells[:5]
        np.testing.assert_allclose([*map(float, kept[5:])], [*map(float, cells[5:])], atol=6)


def test_every_scale_is_in_the_table():
    assert {options.get("scale", "bark") for options in make_slicq.MEASURED} == set(SCALES)


@pytest.mark.slow
@pytest.mark.usefixtures("quick_compile")
def test_its_python_runs():
    mix = 0.1 * np.random.default_rng(0).standard_normal((2, 9000)).astype(np.float32)
    names = run("slicq.md", {"mix": mix})
    np.testing.assert_allclose(names["back"], mix, atol=1e-5)
    assert len(names["blocks"]) == len(names["transform"].blocks)
    assert np.isfinite(names["gradient"]).all() and names["gradient"].shape == mix.shape
