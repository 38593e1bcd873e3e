"""The picture of the README is what its command draws."""

import numpy as np
from documentation import DOCS, ROOT, docs_module
from PIL import Image

make_picture = docs_module("make_picture")


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
