"""ZFTurbo's recipes: what they state, and that each learns."""

import json

import jax
import numpy as np
import pytest
import runs
from recipe_runs import tones
from toy_models import ARGUMENTS

from configs import bs_roformer, htdemucs, mdx23c, mdxnet, mel_band_roformer, scnet
from configs.command_line import read
from configs.common import defaults
from xumx_jax.errors import UserError
from xumx_jax.models import build
from xumx_jax.models.interface import variable_shapes
from xumx_jax.training import config_checks, loop
from xumx_jax.training.monitor.logs import read_metrics
from xumx_jax.weights.bag import load_model

CONFIGS = {
    "htdemucs": htdemucs, "bs_roformer": bs_roformer, "mel_band_roformer": mel_band_roformer,
    "scnet": scnet, "mdx23c": mdx23c, "mdxnet": mdxnet,
}  # fmt: skip
STEPS = 24
IN_16_BITS = ("bs_roformer", "mdx23c", "mdxnet")
VOCALS = ("vocals",)
FOUR = ("drums", "bass", "other", "vocals")


@pytest.mark.parametrize(
    "name, rate, batch, samples, sources",
    [
        ("htdemucs", 9e-5, 8, 485_100, FOUR),
        ("bs_roformer", 5e-5, 10, 131_584, VOCALS),
        ("mel_band_roformer", 5e-5, 7, 131_584, VOCALS),
        ("scnet", 5e-4, 6, 485_100, FOUR),
        ("mdx23c", 9e-5, 4, 261_120, FOUR),
        ("mdxnet", 1e-4, 8, 261_120, VOCALS),
    ],
)
def test_they_state_what_is_published(name, rate, batch, samples, sources):
    config = read(f"configs/{name}.py")
    assert config.model.name == name and config.model.args.sources == sources
    assert (config.optimizer.name, config.optimizer.learning_rate) == ("adam", rate)
    assert config.optimizer.plateau.to_dict() == {"patience": 2, "factor": 0.95, "cooldown": 0}
    assert (config.train.batch_size, config.train.average) == (batch, 0.999)
    assert config.train.epochs == config.train.steps_per_epoch == 1000
    model = config_checks.build(config)
    assert config_checks.samples_of(model, config.train.seconds) == samples
    assert config.recipe.gain == (0.5, 1.5)
    loss = "multi_resolution_l1" if "roformer" in name else "masked_mse"
    assert config.loss.name == loss
    assert config.loss.masked_mse.to_dict() == {"q": 0.95, "coarse": True}
    windows = (4096, 2048, 1024, 512, 256)
    assert config.loss.multi_resolution_l1.to_dict() == {
        "windows": windows, "n_fft": 2048, "hop": 147, "weight": 1.0,
    }  # fmt: skip


def test_roformers_are_those_of_its_templates():
    for name, layers in (("bs_roformer", 6), ("mel_band_roformer", 8)):
        args = read(f"configs/{name}.py").model.args
        assert (args.features, args.layers, args.hop, args.n_fft) == (192, layers, 512, 2048)
        assert (args.heads, args.head_size, args.mask_width) == (8, 64, 4)
        assert args.mask_layers == {"bs_roformer": 1, "mel_band_roformer": 2}[name]  # depth 2


@pytest.mark.parametrize("name", CONFIGS)
def test_every_recipe_is_a_valid_config(name):
    for variant in ("", "tiny"):
        config = CONFIGS[name].get_config(variant)
        config_checks.check(config)
        config_checks.check_loss(config, config_checks.build(config))
        assert json.loads(json.dumps(config.to_dict()))  # as checkpoints keep it
        assert (config.train.epochs == 2) == (variant == "tiny")
    with pytest.raises(UserError, match="variant 'huge' of a config; wanted none or tiny"):
        CONFIGS[name].get_config("huge")


def one_batch(model):
    """Data that are the same batch of tones again and again, and nothing to validate on."""
    examples = tones(model, model.segment.chunk(1024), rows=4)
    again = runs.data(valid=False, spoil=lambda _: iter(lambda: examples, None))
    return again._replace(tracks=len(examples.stems))


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.usefixtures("quick_compile", "own_cache")
def test_every_recipe_overfits_one_batch(name, tmp_path):
    """Its loss and its optimizer at a higher rate, on networks as small as they get.

    Some in 16 bits, as its author has it, and with what layers compute computed again. What the
    run publishes is the network.
    """
    config = CONFIGS[name].get_config("tiny")
    config.model.args.update(ARGUMENTS[name])
    model = config_checks.build(config)
    config.loss.multi_resolution_l1.update({"windows": (256, 64), "n_fft": 128, "hop": 37})
    config.optimizer.update({"learning_rate": 1e-2, "accumulate": 1})
    seconds = model.segment.chunk(1024) / model.sample_rate
    config.train.update({"seconds": seconds, "valid_seconds": seconds, "batch_size": 4})
    config.train.update({"steps_per_epoch": STEPS, "epochs": 1})
    config.log.pictures_every = 0
    if name in IN_16_BITS:
        config.train.update({"compute": "bfloat16", "recompute": True})
    loop.run(config, tmp_path, one_batch(model), runs.quiet, defaults(name))
    records = [record for record in read_metrics(tmp_path / "metrics.jsonl") if "loss" in record]
    seen = [record["loss"] for record in records]
    assert len(seen) == STEPS and np.isfinite(seen).all() and seen[-1] < 0.75 * seen[0], seen

    published = load_model(tmp_path / "best")
    assert build(published.name, **published.args) == model
    leaves = jax.tree.leaves(published.variables)
    assert {leaf.dtype for leaf in leaves} == {np.dtype(np.float32)}
    wanted = jax.tree.leaves(variable_shapes(model))
    assert [leaf.shape for leaf in leaves] == [leaf.shape for leaf in wanted]
