"""AIMLESS's recipes: what they build, and that each learns."""

import json

import jax
import numpy as np
import pytest

from configs.aimless import RECIPES, get_config
from configs.command_line import read
from xumx_jax import losses
from xumx_jax.errors import UserError
from xumx_jax.models import interface, model_class
from xumx_jax.training import config_checks, optimizer, state, step
from xumx_jax.training.batches import Examples
from xumx_jax.training.schedule import Plateau

STEPS, RATE = 15, 1e-2


def test_bsrnn_is_trained_as_published():
    config = read("configs/aimless.py:bsrnn")
    assert config.train.epochs * config.train.steps_per_epoch == 99_000
    assert (config.train.seconds, config.train.batch_size) == (3.0, 16)
    assert (config.optimizer.name, config.optimizer.learning_rate) == ("adam", 3e-4)
    assert config.loss.name == "multi_domain" and config.loss.multi_domain.mcoef == 10.0
    args = config.model.args
    assert (args.hidden_size, args.layers, args.sources) == (128, 12, ("music",))


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_a_valid_config(name):
    for variant in (name, f"{name},tiny"):
        config = get_config(variant)
        config_checks.check(config)
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
def test_every_recipe_overfits_one_batch(name):
    """Its loss and its optimizer, at a higher rate, on a fifth of a second of constant tones.

    The loss falls by a quarter of what it was, or of its absolute value where it is negative.
    """
    config = get_config(f"{name},tiny")
    known = interface.fields(model_class(config.model.name))
    given = {"axis_name": step.AXIS, "dtype": "float32"}
    model = config_checks.build(config, **{key: given[key] for key in given if key in known})
    options = config_checks.options_of(config.loss, config.loss.name)
    adam = optimizer.build(config.optimizer.name, config.optimizer.weight_decay)
    loss = losses.build(config.loss.name, **options)
    this = step.Step(model, loss, adam, lambda done: RATE)
    plateau = Plateau(None, 0.3, 10).init()
    mix = interface.example_mix(model)

    def start(key):
        return state.init(model, adam, key, np.zeros(mix.shape, mix.dtype), plateau=plateau)

    over = step.mesh(jax.devices()[:1])
    now = step.replicate(jax.jit(start)(jax.random.key(0)), over)
    batch = step.shard(tones(model, model.segment.chunk(model.sample_rate / 5)), over)
    advance, seen = step.train_step(this, over), []
    for _ in range(STEPS):
        now, values = advance(now, batch)
        seen.append(float(values["loss"]))
    assert np.isfinite(seen).all() and seen[-1] < seen[0] - 0.25 * abs(seen[0]), seen


def tones(model, samples: int) -> Examples:
    """Two examples of harmonic tones, of another pitch for each source, with a little noise."""
    rng = np.random.default_rng(0)
    sources, time = len(model.sources), np.arange(samples) / model.sample_rate
    hertz = rng.uniform(100, 800, (2, sources, 1, 1)) * np.arange(1, 6)[:, None]
    waves = np.sin(2 * np.pi * hertz * time).mean(2)  # [item, source, time]
    noise = 0.01 * rng.standard_normal((2, sources, samples, 2))
    stems = (0.3 * waves[..., None] + noise).astype(np.float32)
    ones = np.ones((2, sources), np.float32)
    return Examples(stems, ones, ones < 0)
