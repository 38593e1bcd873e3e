"""A few steps of a recipe on one batch of constant tones, to see whether it learns."""

import jax
import numpy as np

from xumx_jax import losses
from xumx_jax.models.interface import variable_shapes
from xumx_jax.training import config_checks, optimizer, state, step
from xumx_jax.training.batches import Examples
from xumx_jax.training.schedule import Plateau

STEPS, RATE = 40, 1e-2


def overfitted(
    config, model, batch: Examples, devices: int = 1, steps: int = STEPS
) -> tuple[dict, list[float]]:
    """The variables after some steps on one batch, and the losses before each of them.

    The batch is always the same, so nothing random is done to it: neither effects nor
    augmentations.
    """
    options = config_checks.options_of(config.loss, config.loss.name)
    adam = optimizer.build(config.optimizer.name, config.optimizer.weight_decay)
    loss = losses.build(config.loss.name, model.transform, **options)
    this = step.Step(model, loss, adam, lambda done: RATE)
    collections = drawn(model)
    params = collections.pop("params")
    zero = np.zeros((), np.int32)
    now = state.State(
        step=zero,
        params=params,
        collections=collections,
        opt_state=adam.init(params),
        average=None,
        plateau=Plateau(None, 0.3, 10).init(),
        counters={"skipped": zero, "in_row": zero},
    )
    over = step.mesh(jax.devices()[:devices])
    now = step.replicate(now, over)
    batch = step.shard(batch, over)
    advance, seen = step.train_step(this, over), []
    for _ in range(steps):
        now, values = advance(now, batch)
        seen.append(float(values["loss"]))
    return jax.device_get(now.trained()), seen


def variables(model) -> dict:
    """The same as fields of a `state.State`."""
    collections = drawn(model)
    return {"params": collections.pop("params"), "collections": collections}


def drawn(model) -> dict:
    """Random variables: to compile what draws the usual ones takes longer than the test."""
    rng = np.random.default_rng(0)

    def draw(path, leaf):
        name = path[-1].key
        if name in ("scale", "var"):  # of normalisations
            return np.ones(leaf.shape, np.float32)
        if leaf.ndim < 2 or name == "mean":
            return np.zeros(leaf.shape, np.float32)
        return rng.normal(0, leaf.shape[-1] ** -0.5 / 2, leaf.shape).astype(np.float32)

    return jax.tree_util.tree_map_with_path(draw, variable_shapes(model))


def tones(model, samples: int, rows: int = 2, noise: float = 0.01) -> Examples:
    """Examples of tones, two octaves apart between sources, with noise of that deviation."""
    rng = np.random.default_rng(0)
    sources, time = len(model.sources), np.arange(samples) / model.sample_rate
    octaves = 2.0 * np.arange(sources)[:, None, None] + rng.uniform(0, 1, (rows, sources, 1, 1))
    hertz = 100 * 2**octaves * np.arange(1, 3)[:, None]
    waves = np.sin(2 * np.pi * hertz * time).mean(2)  # [item, source, time]
    noises = noise * rng.standard_normal((rows, sources, samples, 2))
    stems = (0.3 * waves[..., None] + noises).astype(np.float32)
    ones = np.ones((rows, sources), np.float32)
    return Examples(stems, ones, ones < 0)
