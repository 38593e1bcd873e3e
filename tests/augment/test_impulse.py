"""Impulse responses: convolution, the folder they come from, and folders that do not fit."""

import shutil
import sys
from functools import partial

import jax
import numpy as np
import pytest
import soundfile

from xumx_jax import augment
from xumx_jax.augment.impulse import convolved, impulse
from xumx_jax.augment.impulse_responses import impulse_responses
from xumx_jax.errors import UserError

RATE = 8000
pytestmark = pytest.mark.usefixtures("quick_compile")


def noise(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def write(path, wave, rate=RATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    subtype = "FLOAT" if path.suffix.lower() == ".wav" else None
    soundfile.write(path, wave.T, rate, subtype=subtype)


@pytest.fixture
def folder(tmp_path):
    """Two that are used, and things that are not."""
    write(tmp_path / "irs" / "b" / "hall.WAV", np.float32([[1, 0, 0.5], [0, 1, 0]]))
    write(tmp_path / "irs" / "a.flac", np.float32([[0.5, -0.25]]))
    write(tmp_path / "irs" / "._a.wav", noise(3, 9))
    (tmp_path / "irs" / "licence.txt").write_text("public domain")
    return tmp_path / "irs"


def test_convolution_is_causal_and_per_channel():
    wave, response = noise(2, 300), noise(2, 77)
    wanted = [np.convolve(a, b)[:300] for a, b in zip(wave, response, strict=True)]
    np.testing.assert_allclose(jax.jit(convolved)(wave, response), wanted, atol=1e-4)


def test_a_response_longer_than_the_example_is_heard_as_far_as_it_goes():
    stems, long = noise(3, 1, 40), noise(1, 1, 100)
    found = jax.jit(partial(impulse, probability=1.0))(stems, jax.random.key(0), long)
    for stem, wave in zip(found, stems, strict=True):
        np.testing.assert_allclose(stem[0], np.convolve(wave[0], long[0, 0])[:40], atol=1e-4)


def test_folder(folder):
    found = impulse_responses(RATE, 2, folder=str(folder))
    wanted = [[[0.5, -0.25, 0]] * 2, [[1, 0, 0.5], [0, 1, 0]]]
    np.testing.assert_array_equal(found, np.float32(wanted))


def test_files_are_read_once_and_not_while_compiling(folder, monkeypatch):
    read = []
    reading = sys.modules[impulse_responses.__module__]
    decode = reading.decode
    monkeypatch.setattr(reading, "decode", lambda path: read.append(path) or decode(path))
    for _ in range(2):
        chosen = augment.build([("impulse", {"folder": str(folder), "probability": 1})], RATE, 2)
    assert len(read) == 2 and len(augment.digest(chosen)) == 64
    shutil.rmtree(folder)
    found = augment.apply(chosen, noise(6, 4, 2, 64), 0, np.arange(6))
    assert np.isfinite(found).all() and len(read) == 2


def test_a_changed_file_is_read_again(folder):
    def digest():
        return augment.digest(augment.build([("impulse", {"folder": str(folder)})], RATE, 2))

    before = digest()
    assert digest() == before
    write(folder / "a.flac", np.float32([[0.25]]))
    assert digest() != before
    assert augment.digest(augment.build([("mono", {})])) == ""


def spoil(folder, what):
    shutil.rmtree(folder)
    folder.mkdir()
    if what == "rate":
        write(folder / "x.wav", noise(2, 9), 44_100)
    elif what == "channels":
        write(folder / "x.wav", noise(3, 9))
    elif what == "silent":
        write(folder / "x.wav", 0 * noise(1, 9))
    elif what == "nan":
        write(folder / "x.wav", np.nan * noise(1, 9))
    elif what == "damaged":
        (folder / "x.wav").write_bytes(b"RIFF and nothing else")
    elif what == "gone":
        folder.rmdir()


@pytest.mark.parametrize(
    "what, channels, wanted",
    [
        ("rate", 2, "x.wav: has 44100 Hz; wanted an impulse response of 8000 Hz"),
        ("channels", 2, "x.wav: has 3 channels; wanted an impulse response of 1 or 2 channels"),
        ("channels", 1, "x.wav: has 3 channels; wanted an impulse response of 1 channel"),
        ("silent", 2, "x.wav: is silent or not finite; wanted an impulse response"),
        ("nan", 2, "x.wav: is silent or not finite; wanted an impulse response"),
        ("damaged", 2, "x.wav: not an audio file that can be decoded"),
        ("nothing", 2, "irs: no .wav or .flac file in it; wanted impulse responses"),
        ("gone", 2, "irs: no such folder; wanted one of impulse responses"),
    ],
)
def test_what_does_not_fit_is_one_line(folder, what, channels, wanted):
    spoil(folder, what)
    with pytest.raises(UserError, match=wanted) as error:
        augment.build([("impulse", {"folder": str(folder)})], RATE, channels)
    assert len(str(error.value).splitlines()) == 1


def test_no_folder_is_one_line():
    with pytest.raises(UserError, match="augmentation 'impulse' has no folder; wanted one of"):
        augment.build([("impulse", {})])
