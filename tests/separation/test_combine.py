"""Bags with a rule: the models of the Cinematic Demixing track, end to end with tiny ones."""

import json
import pickle

import numpy as np
import pytest
import scored_songs
import soundfile
from tiny_models import RATE, noise, samples_held, stack
from toy_models import ARGUMENTS, ToyMask, ToyWave, drawn, toys  # noqa: F401

import xumx_jax
from pipelines.evaluation import command, systems
from xumx_jax import cli, models
from xumx_jax.errors import UserError
from xumx_jax.separation.bag import BagSeparator
from xumx_jax.separation.export import export
from xumx_jax.separation.separator import Separator, load
from xumx_jax.weights.bag import save_model
from xumx_jax.weights.combinations import TARGET_FILTER
from xumx_jax.weights.load import convert, load_bag

pytestmark = pytest.mark.usefixtures("quick_compile", "toys")
SOURCES = ("music", "sfx", "speech")
MONO = {"channels": 1, "sources": SOURCES}
RULE = {"combine": "cdx"}


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """The files of a model for mono with all sources, and of one of music with a mask."""
    monkeypatch.setitem(models.MODELS, "toy_mask", ToyMask)
    monkeypatch.setenv("XUMX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("JAX_ENABLE_COMPILATION_CACHE", "0")
    every, music = str(tmp_path / "every.safetensors"), str(tmp_path / "music.safetensors")
    save_model(every, "toy_wave", MONO, weights())
    save_model(music, "toy_mask", {}, {})
    return [every, music]


def weights():
    kernel = np.random.default_rng(1).standard_normal((9, 1, 3)).astype(np.float32) / 3
    return {"params": {"conv": {"kernel": kernel, "bias": np.full(3, 0.01, np.float32)}}}


def by_hand(mix, rate=RATE):
    """What the two models give, one by one, and their mean."""
    stems = Separator(ToyWave(**MONO), weights(), mid_side=True)(mix, rate)
    filtered = {"post_filter": TARGET_FILTER, "niter": 1, "residual": True}
    music = Separator(ToyMask(), {}, **filtered)(mix, rate)["music"]
    return stems | {"music": (stems["music"] + music) / 2}


@pytest.mark.slow
@pytest.mark.parametrize(("channels", "rate"), [(2, RATE), (1, RATE), (2, 11025)])
def test_a_shared_source_is_the_mean_and_the_residual_is_left_out(saved, channels, rate):
    separator, mix = load(saved, **RULE), noise(3000, channels)
    assert isinstance(separator, BagSeparator) and separator.sources == SOURCES
    wanted = by_hand(mix, rate)
    found = separator(mix, rate)
    assert list(found) == list(SOURCES)
    np.testing.assert_allclose(stack(found), stack(wanted), atol=2e-6)
    blocks = [stack(block) for block in separator.stream([mix[:, :70], mix[:, 70:]], rate)]
    np.testing.assert_allclose(np.concatenate(blocks, axis=-1), stack(wanted), atol=2e-6)
    if rate == RATE:
        again = pickle.loads(pickle.dumps(separator))
        np.testing.assert_array_equal(stack(again(mix, rate)), stack(found))
        plain = load(saved)(mix, rate)  # without the rule it is another music, and only that
        assert np.abs(plain["music"] - found["music"]).max() > 1e-4


@pytest.mark.slow
def test_a_filter_of_one_source_needs_no_residual_in_a_bag_either(saved):
    mix, options = noise(1500), {"post_filter": TARGET_FILTER}
    wanted = Separator(ToyMask(), {}, residual=True, **options)(mix, RATE)["music"]
    np.testing.assert_allclose(Separator(ToyMask(), {}, **options)(mix, RATE)["music"], wanted)
    member = load(saved, **options).separators[1]
    assert member.wiener_options["niter"] == 1 and member.sources == ("music",)


@pytest.mark.slow
def test_the_command_writes_it_and_records_the_rule(saved, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    mix = noise(3000, 4)
    soundfile.write("film.wav", mix.T, RATE, "FLOAT")
    words = ["separate", "film.wav", "--channels", "all", "--bits", "32f", "--skip-existing"]
    words += [word for path in saved for word in ("--model", path)]
    assert cli.main([*words, "--combine", "cdx"]) == 0
    for name, wanted in by_hand(mix[2:]).items():
        found = soundfile.read(f"separated/film/{name}.wav")[0].T
        np.testing.assert_allclose(found[2:], wanted, atol=2e-6)
    record = json.loads((tmp_path / "separated/film/.separation.json").read_text())
    assert record["options"]["combine"] == "cdx"
    assert cli.main([*words, "--combine", "cdx"]) == 0
    assert "skipped" in capsys.readouterr().out
    assert cli.main(words) == 0  # another rule: other stems, in another place
    assert (tmp_path / "separated/film_2/music.wav").is_file()
    other = json.loads((tmp_path / "separated/film_2/.separation.json").read_text())
    assert "combine" not in other["options"]


@pytest.mark.slow
def test_a_folder_keeps_the_rule_and_older_ones_have_none(saved, tmp_path):
    assert cli.main(["convert", *saved, str(tmp_path / "cdx"), "--combine", "cdx"]) == 0
    content = json.loads((tmp_path / "cdx/bag.json").read_text())
    assert (content["format"], content["combine"]) == (2, "cdx")
    found = load_bag(tmp_path / "cdx")
    assert found.combine == "cdx" and found.description["combine"] == "cdx"
    assert load(tmp_path / "cdx").sources == SOURCES
    assert load_bag(tmp_path / "cdx", "mean").combine == "mean"
    weighed = load_bag({tmp_path / "cdx": dict.fromkeys(SOURCES, 2.0)})
    assert weighed.combine == "cdx"
    plain = convert(saved, tmp_path / "plain")
    content = json.loads((tmp_path / "plain/bag.json").read_text())
    assert content.keys() == {"format", "members"} and content["format"] == 1
    assert load_bag(tmp_path / "plain").combine == plain.combine == "mean"
    with pytest.raises(UserError, match="a bag with the rule cdx is joined with other models"):
        load_bag([tmp_path / "cdx", saved[0]])
    assert load_bag([tmp_path / "cdx", saved[0]], "cdx").combine == "cdx"
    damaged = (tmp_path / "cdx/bag.json").read_text().replace('"cdx"', '"sum"')
    (tmp_path / "cdx/bag.json").write_text(damaged)
    with pytest.raises(UserError, match=r"bag.json: unknown rule to combine models 'sum'"):
        load_bag(tmp_path / "cdx")
    with pytest.raises(UserError, match="plain: contains 2 models; wanted a single one here"):
        export(tmp_path / "plain", tmp_path / "exported")


@pytest.mark.slow
def test_it_is_scored_with_the_rule(saved, tmp_path):
    root = scored_songs.make(tmp_path / "data", ["one"], sources=SOURCES, samples=RATE)
    words = ["--root", str(root), "--metrics", "sdr", "--combine", "cdx", "--compare", saved[1]]
    words += [word for path in saved for word in ("--model", path)]
    words += ["--evaldir", str(tmp_path / "scores"), "--outdir", str(tmp_path / "estimates")]
    words += ["--niter", "0"]  # which a single model of one source asks for
    assert command.main(words) == 0
    mix, _ = soundfile.read(tmp_path / "data/test/one/mixture.wav", dtype="float32")
    for name, wanted in load(saved, niter=0, **RULE)(mix.T, RATE).items():
        found, _ = soundfile.read(tmp_path / f"estimates/test/one/{name}.wav")
        np.testing.assert_allclose(found.T, wanted, atol=1e-4)


def test_scores_know_the_rule(saved):
    ruled, plain = (systems._digest(load_bag(saved, combine)) for combine in ("cdx", None))
    assert ruled != plain == systems._digest(load_bag(saved, "mean"))


def test_options_of_the_user_come_first(saved):
    found = load(saved, post_filter="complex", residual=False, **RULE)
    assert [one.post_filter for one in found.separators] == [None, "complex"]
    none = load(saved, niter=0, **RULE).separators[1]
    assert none.wiener_options["niter"] == 0 and none.sources == ("music", "residual")


@pytest.mark.slow
def test_members_may_differ_in_rate_and_sources(saved, tmp_path):
    other = str(tmp_path / "voice.safetensors")
    save_model(other, "toy_mask", {"sources": ("voice",), "sample_rate": 16000}, {})
    found = load([*saved, other], **RULE)
    assert found.sources == (*SOURCES, "voice") and found.rate == RATE
    assert stack(found(noise(2000), RATE)).shape == (4, 2, 2000)


@pytest.mark.slow
def test_memory_does_not_grow(saved):
    held = samples_held(load(saved, chunk_seconds=0.25, protocol="demucs", **RULE))
    assert max(held[len(held) // 2 :]) <= 1.1 * max(held[: len(held) // 2])


def test_rules_that_do_not_fit(saved, tmp_path):
    stereo = str(tmp_path / "stereo.safetensors")
    save_model(stereo, "toy_wave", {}, drawn("toy_wave")[1])
    with pytest.raises(UserError, match="one takes 2 channels and has high, low"):
        load([saved[0], stereo], **RULE)
    with pytest.raises(UserError, match="combine is cdx, which is for several models; got one"):
        load(saved[0], **RULE)
    with pytest.raises(UserError, match="unknown rule to combine models 'sum'; known: mean, cdx"):
        load(saved, combine="sum")
    with pytest.raises(UserError, match="unknown rule"):
        convert(saved, tmp_path / "sum", combine="sum")
    with pytest.raises(UserError, match="a residual is what remains after all sources"):
        load(saved, residual=True, **RULE)


@pytest.mark.slow
def test_the_models_of_the_challenge_separate_a_file(tmp_path, monkeypatch):
    """Hybrid Demucs for mono, and BandSplitRNN of music with its filter: tiny ones, from files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XUMX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("JAX_ENABLE_COMPILATION_CACHE", "0")
    words = ["separate", "film.wav", "--combine", "cdx", "--bits", "32f"]
    whole = {"seconds": 2.0}  # a single chunk, and so a single program
    for name, more in (("hdemucs", MONO | whole), ("bsrnn", {"sources": ("music",)})):
        path = str(tmp_path / f"{name}.safetensors")
        save_model(path, name, ARGUMENTS[name] | more, drawn(name, **more)[1])
        words += ["--model", path]
    rate = 11025  # not that of the models
    mix = noise(rate) * np.linspace(0, 1, rate, dtype=np.float32)
    soundfile.write("film.wav", mix.T, rate, "FLOAT")
    assert cli.main(words) == 0
    for name in SOURCES:
        found, same = soundfile.read(f"separated/film/{name}.wav")
        assert found.shape == (rate, 2) and same == rate
        assert np.isfinite(found).all() and found.std() > 1e-4
        assert np.abs(found[:, 0] - found[:, 1]).max() > 1e-4


def test_spleeter_web_takes_the_rule(saved, tmp_path):
    soundfile.write(tmp_path / "film.wav", noise(2000).T, RATE, "FLOAT")
    separator = xumx_jax.SpleeterWebSeparator(True, 0, model=saved, **RULE)
    separator.separate_into_parts(tmp_path / "film.wav", tmp_path / "parts")
    assert {path.stem for path in (tmp_path / "parts").iterdir()} == set(SOURCES)
