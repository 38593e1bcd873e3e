"""A file's name is never a URL, an option or a pattern, whatever library writes it."""

import os
from pathlib import Path

import numpy as np
import pytest

from xumx_jax import audio
from xumx_jax.errors import UserError

NAMES = (
    *("http:/x", "http://x", "https://127.0.0.1:9/x", "ftp:x", "concat:x", "file:x", "file:/x"),
    *("pipe:1", "pipe:", "12:30", "Title:Sub/vocals", "cache:x", "crypto:x", "data:,x", "fd:1"),
    *("tee:x|y", "C:x", "-", "a%20b", "x?y=1", "x#y", "%03d", "~/x", "@x", "[x]*?", " ", "a\nb"),
    *(os.fsdecode(b"\xe9/caf\xe9"), os.fsdecode(b"\xff:x"), "🎸:é"),
)
WAVE = np.sin(np.arange(2000) / 20, dtype=np.float32)[None]


@pytest.mark.parametrize("format", audio.FORMATS)
def test_a_name_is_a_name(tmp_path, monkeypatch, format):
    monkeypatch.chdir(tmp_path)
    paths = set(map(Path, NAMES))  # for which // is /
    audio.encode_all(dict.fromkeys(paths, WAVE), 48000, format)
    written = {path for path in Path().rglob("*") if path.is_file()}
    assert written == paths
    for path in paths:
        path.rename("x")
        assert audio.decode("x")[0].shape == (1, 2000)


@pytest.mark.parametrize("format", audio.FORMATS)
def test_what_no_file_can_be_called_is_known_before_any_sample(tmp_path, format):
    (tmp_path / "file").write_text("")
    for name in ("x" * 300, "file/x"):
        with pytest.raises(UserError, match="cannot be written: (File name too|Not a dir)"):
            audio.StemWriter({"x": tmp_path / name}, 48000, 1, format)
    with pytest.raises(UserError, match=r"a\\x00b': cannot be written: a name has no NUL"):
        audio.StemWriter({"x": tmp_path / "a\0b"}, 48000, 1, format)
    assert os.listdir(tmp_path) == ["file"]
