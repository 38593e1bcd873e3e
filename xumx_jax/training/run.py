"""The training loop: restore or start, then epoch by epoch train, validate, print, save.

Data come from outside (`Data`), so the loop neither knows nor imports an input pipeline.
"""

import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from ml_collections import ConfigDict

from xumx_jax import checkpoint, losses, models
from xumx_jax.errors import UserError
from xumx_jax.training import optimizer, state, step
from xumx_jax.training.statistics import apply_moments, moments


class Data(NamedTuple):
    """What a run reads. Stems are [batch, source, channel, time], ordered as the model's sources.

    train(first)  context of an endless iterator over batches, from the example with that index on
    valid()       iterator over (stems, weight [batch]); weight 0 is padding
    mixes()       iterator over whole training mixtures [channel, time], for the input statistics
    tracks        how many training tracks there are
    """

    train: Callable[[int], AbstractContextManager[Iterable[np.ndarray]]]
    valid: Callable[[], Iterator[tuple[np.ndarray, np.ndarray]]]
    mixes: Callable[[], Iterator[np.ndarray]]
    tracks: int


class Run(NamedTuple):
    """Everything that stays the same from the first step to the last."""

    config: ConfigDict
    model: nn.Module
    optimizer: optax.GradientTransformation
    schedule: optax.Schedule
    steps_per_epoch: int
    workdir: Path


def run(config: ConfigDict, workdir: str | Path, data: Data, log: Callable = print) -> dict:
    """Train as `config` says until its last epoch; returns the last epoch's row of the table.

    A workdir with checkpoints goes on after the newest complete one. Raises UserError if the loss
    is no longer finite; what was saved stays.
    """
    this = prepare(config, Path(workdir), data)
    over = step.mesh()
    loss = losses.build(config.loss.name, **config.loss.options.to_dict())
    train_step = step.train_step(
        this.model, loss, this.optimizer, config.train.average, config.train.seed, over
    )
    eval_step = step.eval_step(this.model, loss, over)

    now = restore(this) or start(this, data, log)
    now = step.replicate(now, over)
    table = Table(log, this.model.sources)
    best = best_value(this.workdir)
    row: dict = {}
    with data.train(int(now.step) * config.train.batch_size) as batches:
        batches = iter(batches)
        for epoch in range(int(now.step) // this.steps_per_epoch, config.train.epochs):
            began = time.monotonic()
            now, train = train_epoch(now, train_step, batches, over, this.steps_per_epoch)
            seconds = (time.monotonic() - began) / this.steps_per_epoch
            valid = validate(now, eval_step, data.valid(), over)
            row = {"epoch": epoch + 1, "step": int(now.step), "train": train["loss"]}
            row |= {"valid" if key == "loss" else key: value for key, value in valid.items()}
            row |= {"lr": float(this.schedule(int(now.step) - 1)), "s/step": seconds}
            table.row(row)
            if not np.isfinite(row["train"]):
                raise UserError(f"{this.workdir}: the loss of epoch {epoch + 1} is {row['train']}")
            value = row.get("valid", row["train"])
            improved = best is None or value < best
            best = value if improved else best
            save(this, now, epoch + 1, value, best, improved)
    return row


def prepare(config: ConfigDict, workdir: Path, data: Data) -> Run:
    """Build what the config names. An epoch is `steps_per_epoch` or the examples of each track."""
    train = config.train
    if train.batch_size % jax.device_count():
        raise UserError(
            f"batch_size {train.batch_size} does not divide among {jax.device_count()} devices"
        )
    steps = train.steps_per_epoch or data.tracks * train.examples_per_track // train.batch_size
    if steps < 1:
        raise UserError(f"{data.tracks} tracks give less than one batch of {train.batch_size}")
    options = config.optimizer
    schedule = optimizer.build_schedule(
        options.schedule, options.learning_rate, steps * train.epochs, options.warmup_steps
    )
    return Run(
        config,
        models.build(config.model.name, **config.model.args.to_dict(), axis_name=step.AXIS),
        optimizer.build(options.name, schedule, options.weight_decay, options.clip),
        schedule,
        steps,
        workdir,
    )


def template(this: Run) -> state.State:
    """A fresh state, weights drawn from the seed; abstract under `jax.eval_shape`."""
    mix = jnp.zeros((1, this.model.channels, 2 * this.model.n_fft))
    key = jax.random.key(this.config.train.seed)
    return state.init(this.model, this.optimizer, key, mix)


def start(this: Run, data: Data, log: Callable) -> state.State:
    """A fresh state with the training set's input statistics."""
    fresh = jax.jit(lambda: template(this))()
    log(f"input statistics of {data.tracks} tracks ...")
    params = apply_moments(fresh.params, *moments(this.model, data.mixes()))
    average = jax.tree.map(jnp.copy, {"params": params, "batch_stats": fresh.batch_stats})
    return fresh.replace(params=params, average=average)


def restore(this: Run) -> state.State | None:
    """The state of the newest complete checkpoint in the workdir, if there is one."""
    folder = newest(this.workdir)
    if folder is None:
        return None
    shapes = jax.eval_shape(lambda: template(this))
    average = checkpoint.read(folder, "model", shapes.average)
    rest = {"params": shapes.params, "batch_stats": shapes.batch_stats}
    rest |= {"opt_state": shapes.opt_state, "step": shapes.step}
    return state.State(**checkpoint.read(folder, "train", rest), average=average)


def train_epoch(now, train_step, batches, over, steps: int):
    """Take `steps` steps; returns the new state and the losses' means over them."""
    sums, waiting = {}, None
    for _ in range(steps):
        now, values = train_step(now, step.shard(next(batches), over))
        # one step behind: the device works while the next batch is fetched, yet never runs away
        sums, waiting = add(sums, waiting), values
    sums = add(sums, waiting)
    return now, {key: value / steps for key, value in sums.items()}


def add(sums: dict, values: dict | None) -> dict:
    if values is None:
        return sums
    values = jax.device_get(values)
    return {
        key: sums.get(key, 0.0) + np.asarray(value, np.float64) for key, value in values.items()
    }


def validate(now: state.State, eval_step, pieces, over) -> dict:
    """Weighted means of the losses of the averaged weights; empty without validation data."""
    sums: dict = {}
    for stems, weight in pieces:
        sums = add(sums, eval_step(now.average, *step.shard((stems, weight), over)))
    total = sums.pop("weight", 0)
    return {key: value / total for key, value in sums.items()}


def save(this: Run, now: state.State, epoch: int, value: float, best: float, improved: bool):
    """Write `checkpoints/<epoch>`, and `best` if it is; keep the newest few."""
    config = this.config
    description = {
        "name": config.model.name,
        "args": config.model.args.to_dict(),
        "info": {
            "export": config.export.to_dict(),
            "epoch": epoch,
            "step": int(now.step),
            "loss": config.loss.name,
            "value": float(value),
            "best": float(best),
            "config": config.to_dict(),
        },
    }
    rest = {"params": now.params, "batch_stats": now.batch_stats}
    rest |= {"opt_state": now.opt_state, "step": now.step}
    folder = this.workdir / "checkpoints" / f"{epoch:06d}"
    checkpoint.write(folder, {"model": now.average, "train": rest}, description)
    if improved:
        checkpoint.write(this.workdir / "best", {"model": now.average}, description)
    for old in sorted(folder.parent.glob("[0-9]*"))[: -config.train.keep]:
        shutil.rmtree(old)


def newest(workdir: Path) -> Path | None:
    """The newest complete checkpoint, None in a workdir without any.

    Raises CheckpointError where there are only damaged ones.
    """
    folder = workdir / "checkpoints"
    return checkpoint.newest(workdir) if folder.is_dir() and any(folder.iterdir()) else None


def best_value(workdir: Path) -> float | None:
    """The lowest validation loss so far."""
    folder = newest(workdir)
    return None if folder is None else checkpoint.describe(folder)["info"]["best"]


class Table:
    """Prints rows under a header; an array [source] takes one column a source."""

    def __init__(self, log: Callable, sources: tuple[str, ...]):
        self.log, self.sources, self.started = log, sources, False

    def row(self, values: dict) -> None:
        flat: dict = {}
        for key, value in values.items():
            if np.ndim(value):
                flat |= {f"{key} {s}": v for s, v in zip(self.sources, value, strict=True)}
            else:
                flat[key] = value
        if not self.started:
            self.log("  ".join(f"{key:>{self.width(key)}}" for key in flat))
            self.started = True
        cells = (
            f"{value:>{self.width(key)}d}"
            if isinstance(value, int)
            else f"{value:>{self.width(key)}.4g}"
            for key, value in flat.items()
        )
        self.log("  ".join(cells))

    @staticmethod
    def width(key: str) -> int:
        return max(len(key), 9)
