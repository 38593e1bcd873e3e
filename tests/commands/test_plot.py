"""`xumx plot`: what it draws of, where it writes, and what it refuses."""

import importlib.util

import numpy as np
import pytest
import soundfile
from encoded import encode_film
from PIL import Image

from xumx_jax import cli
from xumx_jax.transforms.slicq import SliCQ

pytestmark = pytest.mark.usefixtures("quick_compile")

RATE = 8000
SMALL = ("--bins", "16", "--low-hz", "300", "--size", "300", "240", "--n-fft", "256")


@pytest.fixture
def plot(tmp_path, monkeypatch, capsys):
    """`plot(*arguments) -> (status, stdout, stderr)` inside an empty folder."""
    monkeypatch.setenv("XUMX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("JAX_ENABLE_COMPILATION_CACHE", "0")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")

    def run(*arguments):
        return cli.main(["plot", *map(str, arguments)]), *capsys.readouterr()

    return run


def write(path, samples=4000, seed=0):
    wave = 0.1 * np.random.default_rng(seed).standard_normal((samples, 2))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, RATE)
    return path


def test_a_track(plot, tmp_path):
    track = write(tmp_path / "song.wav")
    status, out, err = plot(track, *SMALL)
    drawn = tmp_path / "work" / "song-spectrogram.png"
    assert (status, err) == (0, "")
    assert out.startswith("song-spectrogram.png: 300 x 240, ")
    with Image.open(drawn) as image:
        assert image.size == (300, 240)
    before = drawn.read_bytes()
    assert plot(track, *SMALL, "--out", "again.png")[0] == 0
    assert (tmp_path / "work" / "again.png").read_bytes() == before
    for more in (("--transform", "stft"), ("--start", "0.1", "--duration", "0.2")):
        assert plot(track, *SMALL, *more)[0] == 0
        assert drawn.read_bytes() != before


def test_stems(plot, tmp_path):
    for seed, name in enumerate(("other", "vocals", "Piano")):
        write(tmp_path / "stems" / f"{name}.wav", 2000 + 500 * seed, seed)
    (tmp_path / "stems" / "notes.txt").write_text("none")
    assert plot(tmp_path / "stems", *SMALL)[0] == 0
    track = write(tmp_path / "song.wav")
    assert plot(track, "--stems", tmp_path / "stems", *SMALL)[0] == 0
    from xumx_jax.commands.plot import stems

    assert list(stems(tmp_path / "stems")) == ["vocals", "other", "Piano"]
    names = {path.name for path in (tmp_path / "work").iterdir()}
    assert names == {"stems-spectrogram.png", "song-spectrogram.png"}


def test_a_film(plot, tmp_path):
    encode_film(tmp_path / "film.mp4", 1, [1.0])
    assert plot(tmp_path / "film.mp4", *SMALL, "--transform", "stft")[0] == 0


@pytest.mark.parametrize(
    "arguments, wanted",
    [
        (["none.wav"], "none.wav"),
        (["text.wav"], "text.wav"),
        (["empty"], "empty: has 0 audio files; wanted a folder of stems, 1 to 16 files"),
        (["song.wav", "--stems", "nowhere"], "--stems nowhere: no such folder"),
        (["stems", "--stems", "stems"], "stems is a folder of stems already"),
        (["song.wav", "--out", "a.jpg"], "--out a.jpg: wanted a name that ends in .png"),
        (["song.wav", "--out", "song.wav/a.png"], "song.wav"),
        (["song.wav", "--out", "folder.png"], "folder.png: cannot be written: it is a folder"),
        (["song.wav", "--scale", "erb"], "scale 'erb': wanted one of bark, mel"),
        (["song.wav", "--low-hz", "5000"], "no such sliCQ at 8000 Hz: bands from 5000.0 to 4000.0"),
        (["song.wav", "--bins", "1"], "bins 1: wanted 2 or more"),
        (["song.wav", "--n-fft", "7"], "--n-fft 7: wanted a multiple of 4"),
        (["song.wav", "--size", "10", "10"], "--size 10 10: wanted 200 to 20000 pixels"),
        (["song.wav", "--start", "9"], "song.wav"),
        (["song.wav", "--start", "-1"], "start"),
        (["song.wav", "--transform", "cqt"], "--transform"),
    ],
)
def test_what_cannot_be(plot, tmp_path, arguments, wanted):
    """One line, and nothing written."""
    work = tmp_path / "work"
    write(work / "song.wav")
    write(work / "stems" / "vocals.wav")
    (work / "text.wav").write_text("no sound")
    (work / "empty").mkdir()
    (work / "folder.png").mkdir()
    before = sorted(work.rglob("*"))
    status, out, err = plot(*arguments)
    assert status == 2 and not out
    assert err.startswith("xumx: error: ") and err.count("\n") == 1 and wanted in err
    assert sorted(work.rglob("*")) == before


def test_without_matplotlib(plot, tmp_path, monkeypatch):
    track = write(tmp_path / "song.wav")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    status, _, err = plot(track, *SMALL)
    assert status == 2 and "pip install 'xumx_jax[eval]'" in err


def test_the_default_is_the_published_transform():
    options = cli.parser("plot").parse_args(["plot", "song.wav"])
    usual = SliCQ()
    assert (options.scale, options.bins, options.low_hz) == (usual.scale, usual.bins, usual.low_hz)
