"""Build what a config asks for in a training step, for the phase that a run is in."""

import dataclasses

import jax
import numpy as np
import optax
from ml_collections import ConfigDict

from xumx_jax import augment, losses
from xumx_jax.errors import UserError
from xumx_jax.models import model_class
from xumx_jax.models.interface import TRAINING_FIELDS, fields
from xumx_jax.training import optimizer, phases, step
from xumx_jax.training.config_checks import augmentations, build, check_loss, options_of
from xumx_jax.training.schedule import Plateau
from xumx_jax.training.state import State


def build_step(
    config: ConfigDict, epochs: int, steps_per_epoch: int, mixing: np.ndarray | None = None
) -> step.Step:
    """The step of a run that has completed so many epochs; `mixing` is the data's.

    Raises UserError if the loss does not fit the model, or names are unknown.
    """
    now = phases.during(config, epochs)
    model, known = build(now), fields(model_class(now.model.name))
    check_loss(now, model)
    wanted = zip(TRAINING_FIELDS, (step.AXIS, now.train.compute), strict=True)
    options = now.optimizer
    return step.Step(
        model=build(now, **{name: value for name, value in wanted if name in known}),
        loss=losses.build(now.loss.name, model.transform, **options_of(now.loss, now.loss.name)),
        optimizer=build_optimizer(now),
        schedule=optimizer.build_schedule(
            options.schedule,
            options.learning_rate * batch_scale(now),
            phases.scheduled_updates(config, epochs, steps_per_epoch),
            options.warmup_steps,
        ),
        accumulate=options.accumulate,
        decay=now.train.average,
        seed=now.train.seed,
        mixing=mixing,
        augmentations=augmentations(now, model),
        recompute=now.train.recompute,
        micro_batch=now.train.micro_batch,
        compute="float32" if "dtype" in known else now.train.compute,
        valid_filter=now.train.valid_filter,
    )


def steps_per_epoch(config: ConfigDict, tracks: int) -> int:
    """How many batches an epoch has. Raises UserError if there is not one."""
    train = config.train
    found = train.steps_per_epoch or tracks * train.examples_per_track // train.batch_size
    if found < 1:
        raise UserError(
            f"{tracks} tracks x {train.examples_per_track} examples_per_track are less "
            f"than one batch of {train.batch_size}"
        )
    return found


def build_optimizer(now: ConfigDict) -> optax.GradientTransformation:
    """The optimizer of a config whose phases, if any, are applied."""
    options = now.optimizer
    decay = options.weight_decay * batch_scale(now)
    return optimizer.build(options.name, decay, options.clip, options.accumulate)


def files_read(config: ConfigDict) -> str:
    """Digests of the files that augmentations of any phase have read; empty if there are none."""
    model = build(config)
    digests = (augment.digest(augmentations(phase, model)) for phase in phases.each(config))
    return "".join(dict.fromkeys(digests))


def batch_scale(config: ConfigDict) -> float:
    """What learning rate and decay are multiplied by for the batch size of this run."""
    usual = config.optimizer.per_batch
    return config.train.batch_size / usual if usual else 1.0


def entered(state: State, phase: phases.Phase, before: step.Step, now: step.Step) -> State:
    """Take a state from one phase of a run, whose step was `before`, into the next."""
    counters = state.counters
    updates = step.updates(state.step, counters, before.accumulate)
    counters = counters | {
        "earlier_steps": state.step - counters["skipped"],
        "earlier_updates": 0 * updates if phase.restarts_rate else updates,
    }
    fresh = jax.jit(now.optimizer.init)(state.params)
    plateau = state.plateau
    if phase.restarts_rate:
        plateau = Plateau(None, 0.5, 0).init()  # the same for any of its options
    return dataclasses.replace(
        state,
        opt_state=optimizer.carried_over(state.opt_state, fresh),
        plateau=plateau,
        counters=counters,
    )
