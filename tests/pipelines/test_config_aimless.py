"""AIMLESS's recipes: what they build, and that each learns."""

import json

import numpy as np
import pytest
from recipe_runs import STEPS, overfitted, tones
from scipy.io import wavfile

import train
from configs.aimless import RECIPES, get_config
from configs.command_line import read
from xumx_jax import augment
from xumx_jax.cli import main
from xumx_jax.errors import UserError
from xumx_jax.models import build, interface, model_class
from xumx_jax.models.interface import variable_shapes
from xumx_jax.training import config_checks, phases, step
from xumx_jax.weights.bag import save_model

# Their layers are held by the recipe of that name, so that some need not be compiled again.
LIKE_HDEMUCS = ("mdx_hdemucs", "speech_hdemucs", "cdx_hdemucs")
SAME = 10  # first steps whose losses are compared
FEWER = {"depth": 2, "n_fft": 64, "norm_starts": 1, "dconv_lstm": 1, "dconv_attn": 1}


def test_bsrnn_is_trained_as_published():
    config = read("configs/aimless.py:bsrnn")
    assert config.train.epochs * config.train.steps_per_epoch == 99_000
    assert (config.train.seconds, config.train.batch_size) == (3.0, 16)
    assert (config.optimizer.name, config.optimizer.learning_rate) == ("adam", 3e-4)
    loss = config.loss.complex_multi_domain
    assert config.loss.name == "complex_multi_domain" and loss.mcoef == 10.0
    assert (loss.niter, loss.trim, loss.floor, loss.magnitudes) == (0, 0, 0.0, False)
    args = config.model.args
    assert (args.hidden_size, args.layers, args.sources) == (128, 12, ("music",))


@pytest.mark.parametrize(
    "name, wanted",
    [
        ("hdemucs", ("l1", 3e-4, 0.0, 1, 10.0, 5, 100)),
        ("mdx_hdemucs", ("negative_sdr", 3e-4, 0.0, 4, 10.0, 12, 144)),
        ("speech_hdemucs", ("l1", 3e-4, 0.0, 1, 6.0, 8, 64)),
        ("cdx_hdemucs", ("negative_sdr", 3e-4, 0.0, 4, 6.0, 3, 64)),
        ("demucs", ("l1", 3e-4, 0.0, 1, 10.0, 4, 150)),
        ("demucs_split", ("l1", 3e-4, 0.0, 1, 10.0, 4, 150)),
        ("rel_tdemucs", ("l1", 3e-4, 0.0, 1, 10.0, 4, 150)),
        ("xumx", ("complex_multi_domain", 1e-4, 1e-5, 1, 6.0, 4, 64)),
    ],
)
def test_others_are_trained_as_their_authors_did(name, wanted):
    config = read(f"configs/aimless.py:{name}")
    loss, rate, decay, accumulate, seconds, batch, examples = wanted
    assert config.loss.name == loss
    optimized = config.optimizer
    assert (optimized.name, optimized.plateau.patience) == ("adam", None)
    assert (optimized.learning_rate, optimized.weight_decay) == (rate, decay)
    assert optimized.accumulate == accumulate
    assert (config.train.seconds, config.train.batch_size) == (seconds, batch)
    assert config.train.examples_per_track == examples


def test_models_are_those_of_the_authors():
    args = {name: read(f"configs/aimless.py:{name}").model.args for name in RECIPES}
    assert (args["hdemucs"].width, args["demucs_split"].width) == (48, 48)
    films = args["cdx_hdemucs"]
    assert (films.width, films.channels, films.norm_groups) == (64, 1, 4)
    assert films.sources == ("music", "sfx", "speech")
    assert (films.dconv_depth, films.dconv_comp) == (2, 4)
    steps = read("configs/aimless.py:cdx_hdemucs").train
    assert steps.epochs * steps.steps_per_epoch == 4 * 30_000
    xumx = build("xumx", **args["xumx"].to_dict())
    assert (xumx.hidden_size, xumx.layers, xumx.post_filter) == (512, 3, "aimless")
    mean = variable_shapes(xumx)["params"]["enc"]["mean"]
    assert mean.shape == (4, 1487)
    loss = read("configs/aimless.py:xumx").loss.complex_multi_domain
    assert (loss.mcoef, loss.niter, loss.combinations) == (10.0, 1, True)


LIMITED = ["gain", "polarity", "swap", "limit_aug"]
NOISY = [
    "parametric_eq", "distortion", "delay", "chorus", "phaser", "compressor", "reverb",
    "stereo_widener", "limiter", "volume_automation", "loudness_normalization",
]  # fmt: skip


@pytest.mark.parametrize(
    "name, data, same_song, on_device, effects, augmentations",
    [
        ("xumx", "musdb", 0, False, LIMITED, (0.2, 3, 5)),
        ("demucs_split", "musdb", 0, False, LIMITED, None),
        ("hdemucs", "label_noise", 1, False, NOISY, (0.2, 3, 5)),
        ("mdx_hdemucs", "label_noise", 0, False, NOISY + LIMITED[:3], (0.3, 3, 5)),
        ("cdx_hdemucs", "dnr", 1, True, [], (0.3, 11, 15)),
        ("cdx_bsrnn", "dnr", 1, True, [], (0.2, 3, 5)),
        ("speech_hdemucs", "speech_noise", 0, False, [], (0.2, 3, 5)),
    ],
)
def test_examples_are_made_as_the_authors_did(
    name, data, same_song, on_device, effects, augmentations
):
    """`augmentations`: their probability, how many speeds, how many intervals."""
    config = get_config(name)
    assert config.data.name == ("auto" if data == "musdb" else data)
    recipe = train.mixing_of(config, data)
    gain = (0.25, 1.25) if on_device else (1, 1)
    half = 0.5 if on_device else 0
    assert (recipe.gain, recipe.polarity, recipe.swap) == (gain, half, half)
    assert recipe.same_song == same_song
    assert [effect for effect, _ in recipe.effects] == effects
    made = dict(augment.build(config.augment))
    if augmentations is None:
        assert not made
        return
    found = {key: function.keywords for key, function in made.items()}
    assert {options["probability"] for options in found.values()} == {augmentations[0]}
    assert len(found["speed"]["length_percent"]) == augmentations[1]
    assert len(found["pitch"]["semitones"]) == augmentations[2]


def shares_of(config) -> dict:
    pairs = (*config.recipe.effects, *config.augment)
    return {name: options["probability"] for name, options in pairs}


def test_the_last_quarter_of_the_prize_winning_run_is_wilder():
    """1e-3, 64 batches an update, and every probability 1.666 times what it was."""
    config = get_config("mdx-hdemucs")
    assert config.train.epochs == 800 and [epochs for epochs, _ in config.phases] == [600]
    before, after = phases.each(config)
    assert (after.optimizer.learning_rate, after.optimizer.accumulate) == (1e-3, 64)
    was, now = shares_of(before), shares_of(after)
    assert set(was.values()) == {0.3, 0.03} and was["chorus"] == 0.03
    assert now == pytest.approx({name: 1.666 * share for name, share in was.items()}, abs=1e-5)
    after.optimizer, after.augment = before.optimizer, before.augment
    after.recipe.effects = before.recipe.effects
    assert after.to_dict() == before.to_dict()
    tiny = get_config("mdx_hdemucs,tiny")
    assert [epochs for epochs, _ in tiny.phases] == [1] and tiny.train.epochs == 2


def test_shares_of_the_noisy_labels_recipe():
    shares = shares_of(get_config("hdemucs"))
    assert [shares[name] for name in NOISY] == [
        0.7, 0.01, 0.02, 0.01, 0.01, 0.5, 0.2, 0.3, 0.1, 0.1, 1.0
    ]  # fmt: skip


def test_names_may_have_hyphens_and_the_band_split_network_two():
    for one, other in (("cdx-hdemucs", "cdx_hdemucs"), ("bsrnn", "cdx-bsrnn,tiny")):
        configs = [get_config(name.split(",")[0]).to_dict() for name in (one, other)]
        assert configs[0] == configs[1]


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_a_valid_config(name):
    for variant in (name, f"{name},tiny"):
        config = get_config(variant)
        config_checks.check(config)
        phases.check(config)
        config_checks.check_loss(config, config_checks.build(config))
        assert json.loads(json.dumps(config.to_dict()))  # as checkpoints keep it
        assert (config.train.epochs == 2) == variant.endswith("tiny")


@pytest.mark.parametrize("variant", ["", "tiny", "huge", "bsrnn,huge"])
def test_an_unknown_variant_is_one_line(variant):
    with pytest.raises(UserError, match="variant '.*' of a config; wanted .*") as error:
        get_config(variant)
    assert "\n" not in str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.usefixtures("quick_compile")
def test_every_recipe_overfits_one_batch_and_separates_it(name, tmp_path):
    """Its loss and its optimizer, at a higher rate, on a moment of constant tones.

    So do four devices, along the same curve.

    The loss falls by a quarter of what it was, or of its absolute value where it is negative. The
    weights then separate the mixture as a file, and what comes out is nearer to each source than
    silence is.
    """
    config = get_config(f"{name},tiny")
    if "depth" in config.model.args:  # the fewer layers, the less is compiled
        fewer = {key: value for key, value in FEWER.items() if key in config.model.args}
        config.model.args.update(fewer)
    if name in LIKE_HDEMUCS:
        config.model.args.update({"dconv_lstm": 9, "dconv_attn": 9})
    known = interface.fields(model_class(config.model.name))
    given = {"axis_name": step.AXIS, "dtype": "float32"}
    model = config_checks.build(config, **{key: given[key] for key in given if key in known})
    # behind the Wiener filter, rounding decides what comes of a bin in which a source is alone
    noise, same = (0.6, 2e-2) if name == "xumx" else (0.01, 1e-3)
    batch = tones(model, model.segment.chunk(4096), rows=4, noise=noise)
    variables, seen = overfitted(config, model, batch, steps=20 if name == "xumx" else STEPS)
    assert np.isfinite(seen).all() and seen[-1] < seen[0] - 0.25 * abs(seen[0]), seen
    _, on_four = overfitted(config, model, batch, devices=4, steps=SAME)
    assert np.isfinite(on_four).all() and on_four[-1] < on_four[0], on_four
    np.testing.assert_allclose(on_four, seen[:SAME], rtol=same, atol=1e-3)
    if name in LIKE_HDEMUCS[:2]:
        return  # separated like the other Hybrid Demucs

    save_model(
        tmp_path / "it.safetensors", config.model.name, config.model.args.to_dict(), variables, {}
    )
    stems = batch.stems[0]  # [source, time, channel]
    wavfile.write(tmp_path / "mix.wav", model.sample_rate, stems.sum(0))
    words = ["separate", tmp_path / "mix.wav", "--out", tmp_path / "stems", "--bits", "32f"]
    words += ["--model", tmp_path / "it.safetensors", "--niter", "0", "--chunk-seconds", "0.1"]
    assert main([str(word) for word in words]) == 0
    for source, true in zip(model.sources, stems, strict=True):
        rate, found = wavfile.read(tmp_path / "stems" / "mix" / f"{source}.wav")
        assert rate == model.sample_rate and found.shape == true.shape
        assert np.square(found - true).sum() < np.square(true).sum(), source
