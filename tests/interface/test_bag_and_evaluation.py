"""Every model and two toys in a bag, as a file to files, and scored by evaluate.py."""

import json

import numpy as np
import pytest
import scored_songs
import soundfile
from tiny_models import noise, stack
from toy_models import ARGUMENTS, NAMES, drawn, toys  # noqa: F401

import xumx_jax
from pipelines.evaluation import command
from xumx_jax.weights.bag import save_model

pytestmark = pytest.mark.usefixtures("quick_compile", "toys", "own_cache")
RATE = 8000


@pytest.fixture
def saved(tmp_path):
    """`saved(name)`: the file of a tiny model."""

    def save(name):
        path = tmp_path / f"{name}.safetensors"
        save_model(path, name, ARGUMENTS[name], drawn(name)[1])
        return path

    return save


@pytest.mark.parametrize("name", NAMES)
def test_a_bag_averages_what_its_members_give(saved, name):
    path, mix = saved(name), noise(2000)
    alone = xumx_jax.load(path)(mix, RATE)
    other = xumx_jax.load(saved("toy_wave"))(mix, RATE)
    bag = xumx_jax.load([(path, 0.75), (saved("toy_wave"), 0.25)])(mix, RATE)
    assert set(bag) == set(alone) | set(other)
    for source, wave in bag.items():
        if source in alone and source in other:
            wanted = 0.75 * alone[source] + 0.25 * other[source]
        else:
            wanted = alone.get(source, other.get(source))
        np.testing.assert_allclose(wave, wanted, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_becomes_files(saved, name, tmp_path):
    mix = noise(2000)
    soundfile.write(tmp_path / "song.wav", mix.T, RATE, "FLOAT")
    separator = xumx_jax.load(saved(name))
    found = xumx_jax.separate_file(separator, tmp_path / "song.wav", tmp_path / "out", bits="32f")
    written = [soundfile.read(path, dtype="float32")[0].T for path in found.paths.values()]
    np.testing.assert_allclose(np.stack(written), stack(separator(mix, RATE)), atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_evaluation_scores_it(saved, name, tmp_path):
    sources = drawn(name)[0].sources
    root = scored_songs.make(tmp_path / "data", ["one"], sources=sources, samples=RATE)
    arguments = ["--model", str(saved(name)), "--root", str(root)]
    arguments += ["--evaldir", str(tmp_path / "scores"), "--metrics", "sdr", "--niter", "1"]
    assert command.main(arguments) == 0
    scores = json.loads((tmp_path / "scores" / "test" / "one.json").read_text())
    assert {target["name"] for target in scores["targets"]} == set(sources)
