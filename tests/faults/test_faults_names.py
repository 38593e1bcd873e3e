"""Faults of names, places and the system around; the whole list is in test_faults.py."""

import contextlib
import locale
import os
import subprocess
import sys
import time
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from separating import noise, stems_in, write

from xumx_jax import audio
from xumx_jax.weights import safetensors

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(run_separate):
    return run_separate


NAMES = {
    "of another coding": os.fsdecode(b"caf\xe9"),
    "composed": unicodedata.normalize("NFC", "Motörhead é"),
    "decomposed": unicodedata.normalize("NFD", "Motörhead é"),
    "emoji": "🎸🥁 👩🏽‍🎤",
    "right to left": "שיר ערבية ‏",
    "as long as names get": "x" * 251,
    "spaces": "  two  spaces . ",
    "line": "a\nline\tand a tab",
    "quotes": 'it\'s "50%" $HOME `x` \\',
    "wild": "[song] * ?",
    "hidden": ".song",
    "dots": "...",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_row_21_names(run, tmp_path, name):
    write("x.wav", noise(200))
    os.rename("x.wav", f"{name}.wav")  # libsndfile is not what is tested
    status, out, err = run(f"{name}.wav", "--stems", "bass", "--json", "report.json")
    assert (status, err) == (0, "")
    assert stems_in(tmp_path / "work" / "separated") == [f"{name}/bass.wav"]
    assert audio.decode(f"separated/{name}/bass.wav")[0].shape == (2, 200)


def test_row_21_dashes(run, tmp_path):
    for name in ("-x.wav", "--out"):
        write("x.wav", noise(200))
        os.rename("x.wav", name)
    status, _, err = run("./-x.wav", "./--out", "--stems", "bass")
    assert (status, err) == (0, "")
    assert stems_in(tmp_path / "work" / "separated") == ["--out/bass.wav", "-x/bass.wav"]
    status, _, err = run("-x.wav")
    assert status == 2 and err.startswith("xumx: error: ") and err.count("\n") == 1


@pytest.mark.parametrize("name", ["y" * 256, "y" * 300 + "/x"])
def test_row_21_names_that_no_file_can_have(run, name):
    write("x.wav", noise(200))
    for arguments in ((f"{name}.wav",), ("x.wav", "--out", name), ("x.wav", "--json", name)):
        status, _, err = run(*arguments)
        assert status in (1, 2) and err.startswith("xumx: error: ") and err.count("\n") == 1
        assert "unexpected" not in err


def test_row_21_places_that_cannot_be_written(run, tmp_path, monkeypatch):
    def computes(*_):
        raise AssertionError("computed")

    monkeypatch.setattr("xumx_jax.separation.separator.Separator.stream", computes)
    write("x.wav", noise(200))
    Path("file").write_text("")
    Path("separated/x").mkdir(parents=True)
    Path("separated/x/bass.wav").mkdir()
    for out in ("file", "file/deep"):
        status, _, err = run("x.wav", "--out", out)
        assert status == 1 and "cannot be written" in err and err.count("\n") == 1, err
    Path("link").symlink_to("nowhere/at/all")
    status, _, err = run("x.wav", "--out", "link")
    assert status == 1 and "link is not a folder" in err, err
    status, _, err = run("x.wav")
    assert status == 1 and "separated/x/bass.wav: cannot be written: it is a folder" in err, err


def test_row_31_clock_locale_umask(run, monkeypatch):
    """Bit for bit the same files, whatever time, place and permissions the system pretends."""
    folder = Path.cwd()  # which ends with the monkeypatch
    write("song.wav", noise(20000), 44100)
    formats = ("wav", "flac", "mp3", "m4a")  # Ogg wants a random number in every file
    chosen = ("song.wav", "--stems", "bass")
    for format in formats:
        assert run(*chosen, "--format", format, "--out", "before")[0] == 0
    os.utime("song.wav", (2**32, 2**32))  # in 2106
    monkeypatch.setenv("TZ", "Pacific/Chatham")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    for name in ("LC_ALL", "LANG", "LC_NUMERIC"):
        monkeypatch.setenv(name, "de_DE.UTF-8")
    time.tzset()
    monkeypatch.setattr(time, "time", lambda: 4e9)
    before, kept = locale.setlocale(locale.LC_ALL), os.umask(0o077)
    try:
        with contextlib.suppress(locale.Error):  # not every system has it
            locale.setlocale(locale.LC_ALL, "de_DE.UTF-8")
        for format in formats:
            assert run(*chosen, "--format", format, "--out", "after", "--niter", "1")[0] == 0
        status, out, _ = run(*chosen, "--out", "after", "--skip-existing", "--json", "report.json")
        assert status == 0 and "skipped" in out
    finally:
        os.umask(kept)
        locale.setlocale(locale.LC_ALL, before)
        monkeypatch.undo()
        time.tzset()
    files = stems_in(folder / "before")
    assert files == stems_in(folder / "after") and len(files) == len(formats)
    for name in files:
        read = [(folder / out / name).read_bytes() for out in ("before", "after")]
        assert read[0] == read[1], name


@pytest.mark.slow
def test_row_31_a_terminal_that_knows_ascii_alone(tiny_model, tmp_path):
    write(tmp_path / "x.wav", noise(200))
    os.rename(tmp_path / "x.wav", tmp_path / "🎸é.wav")
    odd = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "xumx_jax.cli", "separate", "🎸é.wav", "--stems", "bass"),
            *("--model", str(tiny_model), "--json", "report.json"),
        ],
        cwd=tmp_path,
        env={**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "0", "PYTHONPATH": str(ROOT), **odd},
        capture_output=True,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"x real time" in done.stdout and "🎸é".encode() not in done.stdout
    assert stems_in(tmp_path / "separated") == ["🎸é/bass.wav"]


@pytest.mark.parametrize(("umask", "file", "folder"), [(0o077, 0o600, 0o700), (0, 0o666, 0o777)])
def test_row_31_permissions_follow_the_umask(tmp_path, umask, file, folder):
    kept = os.umask(umask)
    try:
        for format in audio.FORMATS:
            audio.encode(tmp_path / "new" / f"x.{format}", noise(2000), 44100, format)
        safetensors.write(tmp_path / "new" / "x.safetensors", {"a": np.ones(3)}, {})
    finally:
        os.umask(kept)
    assert (tmp_path / "new").stat().st_mode & 0o777 == folder
    for path in (tmp_path / "new").iterdir():
        assert path.stat().st_mode & 0o777 == file, path
