"""Every model and two toys in a bag, as a file to files, and scored by evaluate.py."""

import json

import numpy as np
import pytest
import scored_songs
import soundfile
from tiny_models import noise, stack
from toy_models import ARGUMENTS, NAMES, TOYS, UNLIKE, drawn, toys  # noqa: F401

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


@pytest.mark.slow
@pytest.mark.parametrize("name", UNLIKE)
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


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"niter": 0}, {"softmask": True}, {"wiener_frames": 50}])
def test_options_of_filters_are_for_the_members_that_have_one(saved, options):
    paths, mix = [saved("xumx"), saved("toy_wave")], noise(2000)
    bag = xumx_jax.load(paths, **options)(mix, RATE)
    alone = xumx_jax.load(paths[0], **options)(mix, RATE) | xumx_jax.load(paths[1])(mix, RATE)
    for source, wave in alone.items():
        np.testing.assert_allclose(bag[source], wave, atol=1e-6)


def test_a_filter_is_for_the_members_that_have_spectra(saved):
    paths, mix = [saved("toy_ragged"), saved("toy_wave")], noise(1024)
    bag = xumx_jax.load(paths, post_filter="complex")(mix, RATE)
    filtered = xumx_jax.load(paths[0], post_filter="complex")(mix, RATE)
    plain = xumx_jax.load(paths[1])(mix, RATE)
    for source, wave in bag.items():
        np.testing.assert_allclose(wave, (filtered[source] + plain[source]) / 2, atol=1e-6)


@pytest.mark.parametrize("name", TOYS)
def test_spleeter_web(saved, name, tmp_path):
    mix = noise(2000)
    soundfile.write(tmp_path / "song.wav", mix.T, RATE, "FLOAT")
    models = {saved(name): 3, saved("xumx"): {"vocals": 1, "bass": 1, "drums": 1, "other": 1}}
    separator = xumx_jax.SpleeterWebSeparator(True, 0, model=models, device="cpu", shifts=1)
    separator.separate_into_parts(tmp_path / "song.wav", tmp_path / "parts")
    wanted = xumx_jax.load(models, device="cpu", shifts=1)(mix, RATE)
    gain = min(1, 1 / max(np.abs(stem).max() for stem in wanted.values()))
    for source, wave in wanted.items():
        found = soundfile.read(tmp_path / "parts" / f"{source}.wav")[0].T
        np.testing.assert_allclose(found, gain * wave, atol=2**-14)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_becomes_files(saved, name, tmp_path):
    mix = noise(2000)
    soundfile.write(tmp_path / "song.wav", mix.T, RATE, "FLOAT")
    separator = xumx_jax.load(saved(name))
    found = xumx_jax.separate_file(separator, tmp_path / "song.wav", tmp_path / "out", bits="32f")
    written = [soundfile.read(path, dtype="float32")[0].T for path in found.paths.values()]
    np.testing.assert_allclose(np.stack(written), stack(separator(mix, RATE)), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", UNLIKE)
def test_evaluation_scores_it(saved, name, tmp_path):
    sources = drawn(name)[0].sources
    root = scored_songs.make(tmp_path / "data", ["one"], sources=sources, samples=RATE)
    arguments = ["--model", str(saved(name)), "--root", str(root)]
    arguments += ["--evaldir", str(tmp_path / "scores"), "--metrics", "sdr", "--niter", "1"]
    assert command.main(arguments) == 0
    scores = json.loads((tmp_path / "scores" / "test" / "one.json").read_text())
    assert {target["name"] for target in scores["targets"]} == set(sources)
