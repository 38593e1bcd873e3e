"""The training loop: restore or begin, then epoch by epoch train, validate, print, save.

Data are passed in (`batches.Data`), so the loop neither knows nor imports an input pipeline.
"""

import dataclasses
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from xumx_jax import augment, losses
from xumx_jax.errors import UserError
from xumx_jax.models import model_class
from xumx_jax.models.interface import TRAINING_FIELDS, example_mix, fields
from xumx_jax.training import checkpointing, distributed, optimizer, state, step
from xumx_jax.training.batches import Data, Examples, filled, to_channels, with_silence
from xumx_jax.training.config_checks import augmentations, build, check, check_loss, options_of
from xumx_jax.training.identity import Defaults
from xumx_jax.training.initialization import begin
from xumx_jax.training.monitor.monitor import Monitor
from xumx_jax.training.schedule import Plateau, early_stopping, out_of_patience

LOG, NONE = logging.getLogger(__name__), Defaults()


class Outcome(NamedTuple):
    """How a run ended: the last epoch's row of the table, and the signal that ended it, if any."""

    row: dict
    signal: int | None = None


class Stopped(Exception):
    """Raised to leave the loop after a signal; everything is saved."""


def run(
    config: ConfigDict, workdir: str | Path, data: Data, log: Callable = LOG.info, defaults=NONE
) -> Outcome:
    """Train as `config` says until its last epoch, or until patience runs out.

    `defaults` are those of the config's options, and say which of these may change. A workdir with
    checkpoints resumes from the newest good one. SIGTERM and SIGINT save and end the run. Raises
    UserError if config, data and checkpoints do not fit together, and if too many steps in a row
    have no finite loss; what was saved remains, and is good.
    """
    log = log if distributed.first() and not config.quiet else lambda *_: None
    with checkpointing.locked(Path(workdir)) if distributed.first() else nullcontext():
        return Run(config, Path(workdir), data, log, defaults).run()


class Run:
    """One run: what stays the same (config, model, compiled steps) and what changes."""

    def __init__(self, config: ConfigDict, workdir: Path, data: Data, log: Callable, defaults):
        check(config)
        train, options = config.train, config.optimizer
        self.config, self.workdir, self.data = config, workdir, data
        self.log, self.defaults = log, defaults
        if train.batch_size % jax.device_count():
            raise UserError(
                f"batch_size {train.batch_size} is not divisible by {jax.device_count()} devices"
            )
        distributed.agree(data.outline, "data")
        examples = data.tracks * train.examples_per_track
        self.steps_per_epoch = train.steps_per_epoch or examples // train.batch_size
        if self.steps_per_epoch < 1:
            raise UserError(
                f"{data.tracks} tracks x {train.examples_per_track} examples_per_track are less "
                f"than one batch of {train.batch_size}"
            )
        scale = train.batch_size / options.per_batch if options.per_batch else 1.0
        schedule = optimizer.build_schedule(
            options.schedule,
            options.learning_rate * scale,
            self.steps_per_epoch * train.epochs // options.accumulate,
            options.warmup_steps,
        )
        model, known = build(config), fields(model_class(config.model.name))
        loss = config.loss.name
        check_loss(config, model)
        wanted = zip(TRAINING_FIELDS, (step.AXIS, train.compute), strict=True)
        self.step = step.Step(
            model=build(config, **{name: value for name, value in wanted if name in known}),
            loss=losses.build(loss, model.transform, **options_of(config.loss, loss)),
            optimizer=optimizer.build(
                options.name, options.weight_decay * scale, options.clip, options.accumulate
            ),
            schedule=schedule,
            accumulate=options.accumulate,
            decay=train.average,
            seed=train.seed,
            mixing=data.mixing,
            augmentations=augmentations(config, model),
        )
        read = augment.digest(self.step.augmentations)
        distributed.agree(read or "00", "files of augmentations")
        self.over = step.mesh()
        self.train_step = step.train_step(self.step, self.over)
        self.eval_step = step.eval_step(self.step, self.over)
        self.separate, self.plateau = jax.jit(model.apply), Plateau(**options.plateau)
        self.about = checkpointing.about(config, data.fingerprint + read)

    def run(self) -> Outcome:
        """Restore or begin, train, and return how the run ended."""
        config, epochs = self.config, self.config.train.epochs
        self.restore_or_begin()
        row: dict = {}
        options = {"quiet": config.quiet, "active": distributed.first(), "log": self.log}
        options |= {"total_steps": self.steps_per_epoch * epochs}
        options |= {"batch": config.train.batch_size, "scalars_every": config.log.scalars_every}
        with (
            Monitor(self.workdir, self.step.model.sources, **options) as self.watch,
            distributed.Preemption() as self.stop,
            self.data.train(self.at * config.train.batch_size) as batches,
        ):
            self.watch.event("start", step=self.at, epoch=self.progress.epoch)
            batches = iter(batches)
            try:
                while self.progress.epoch < epochs and not out_of_patience(self.early):
                    self.train_epoch(batches)
                    row = self.end_epoch()
            except Stopped:
                return Outcome(row, self.stop.signal)
        if not row:
            self.log(f"nothing to do: the run has ended after epoch {self.progress.epoch}")
        elif self.progress.epoch < epochs:
            self.log(f"no better loss in {self.progress.stale} epochs: training ends")
        return Outcome(row)

    def restore_or_begin(self) -> None:
        self.progress, now = checkpointing.TrainingProgress(), None
        if distributed.first():
            found = checkpointing.restore(self.workdir, self.fresh, self.config, self.defaults)
            if found is not None:
                now, info = found
                self.progress = checkpointing.TrainingProgress(**info["progress"])
                self.log(f"resuming after step {info['step']} of {self.workdir}")
                if info["data"] != self.about["info"]["data"]:
                    self.log("the data are not those of the last start: this run can't be repeated")
        known = distributed.share_json(None if now is None else dataclasses.asdict(self.progress))
        if known is None:
            if (self.workdir / "metrics.jsonl").exists():
                self.log(f"{self.workdir}: no checkpoint to resume from; starting over")
            weights = self.config.train.weights
            self.now = begin(self.fresh, self.step.model, self.data, weights, self.log)
        else:
            self.progress = checkpointing.TrainingProgress(**known)
            shapes = jax.eval_shape(self.fresh)
            blank = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
            self.now = distributed.share(blank if now is None else now)
        patience = self.config.train.patience
        self.early = early_stopping(patience, self.progress.best, self.progress.stale)
        self.at, self.saved = int(self.now.step), time.monotonic()
        self.now = step.replicate(self.now, self.over)

    def fresh(self) -> state.State:
        """A state with weights drawn from the seed."""
        model, mix = self.step.model, example_mix(self.step.model)
        key = jax.random.key(self.config.train.seed)
        average = self.config.train.average > 0
        return state.init(model, self.step.optimizer, key, mix, self.plateau.init(), average)

    def train_epoch(self, batches: Iterator[Examples]) -> None:
        """Train to the last step of the epoch."""
        # values are read one step late: the device works while the next batch is read
        hopeless, waiting = False, None
        end = (self.progress.epoch + 1) * self.steps_per_epoch
        while self.at < end:
            if self.stop.asked(self.at):
                self.settle(waiting)
                self.save_and_stop()
            began = time.monotonic()
            examples = filled(next(batches), self.step.model.segment)
            waited = time.monotonic() - began
            self.now, values = self.train_step(self.now, step.shard(examples, self.over))
            self.at += 1
            hopeless = self.settle(waiting)
            waiting = (self.at, values, waited)
            if not hopeless and self.at < end and self.save_is_due():
                hopeless, waiting = self.settle(waiting), None
                if not hopeless:
                    self.save()
            if hopeless:
                break
        hopeless = self.settle(waiting) or hopeless
        if hopeless:
            self.save()
            raise UserError(
                f"{self.workdir}: {self.config.train.max_bad_steps} steps in a row had no finite "
                f"loss; the last good state is saved"
            )

    def save_is_due(self) -> bool:
        """Return whether to save within an epoch, after the configured steps or minutes."""
        train = self.config.train
        late = time.monotonic() - self.saved > 60 * train.save_minutes
        return late or bool(train.save_steps and self.at % train.save_steps == 0)

    def settle(self, waiting: tuple[int, dict, float] | None) -> bool:
        """Wait for a step's values and record them -> whether too many steps in a row were bad."""
        if waiting is None:
            return False
        at, values, waited = waiting
        values = jax.device_get(values)
        in_row = int(values.pop("in_row"))
        self.watch.step(at, values, waiting_seconds=waited)
        if in_row:
            self.watch.event("skipped", step=at, in_row=in_row)
            if in_row == 1:
                self.log(f"step {at} skipped: its loss or gradient is not finite")
        else:
            for key in ("lr", "gradient_norm", "skipped"):
                values.pop(key)
            self.progress.add(values | {"steps": 1})
        return in_row >= self.config.train.max_bad_steps

    def end_epoch(self) -> dict:
        """Validate, adapt, print and save -> the row of the table."""
        train, valid = self.progress.means(), self.validate()
        epoch = self.progress.epoch + 1
        row: dict[str, Any] = {"epoch": epoch, "step": self.at}
        row |= {"train": float(train.get("loss", np.nan))}
        row |= {"valid" if key == "loss" else key: value for key, value in valid.items()}
        value = float(row.get("valid", row["train"]))
        if np.isnan(value):
            raise UserError(f"{self.workdir}: the loss of epoch {epoch} is not a number")

        self.early = self.early.update(value)
        plateau = self.plateau.update(jax.device_get(self.now.plateau), value)
        self.now = dataclasses.replace(self.now, plateau=step.replicate(plateau, self.over))
        done, counters = jax.device_get((self.now.step, self.now.counters))
        rate = step.learning_rate(done, counters["skipped"], plateau, self.step)
        row |= {"lr": float(rate)}
        self.watch.epoch(row)
        self.progress = checkpointing.TrainingProgress(
            epoch, float(self.early.best_metric), self.early.patience_count
        )
        now = jax.device_get(self.now) if distributed.first() else None
        if self.early.has_improved and now is not None:
            # before the checkpoint: a kill between the two repeats the epoch and writes it again
            checkpointing.save_best(self.workdir, now, self.progress, self.about, value)
        self.save(now)
        self.draw(now)
        return row

    def validate(self) -> dict:
        """The weighted means of losses and SDRs; empty without validation data."""
        sums: dict = {}
        variables = self.now.variables()
        for pieces in self.data.valid():
            if jax.process_count() == 1 and self.stop.asked(self.at):
                self.save_and_stop()
            pieces = step.shard(filled(pieces, self.step.model.segment), self.over)
            values = jax.device_get(self.eval_step(variables, pieces))
            sums = {key: sums.get(key, 0.0) + np.float64(value) for key, value in values.items()}
        if not sums:
            return {}
        total, sounding = sums.pop("weight"), sums.pop("sounding")
        with np.errstate(invalid="ignore"):
            sdr = sums.pop("sdr_db") / sounding
        return {key: value / total for key, value in sums.items()} | {"sdr_db": sdr}

    def save(self, now: state.State | None = None) -> None:
        """Write a checkpoint; `now` is the current state, if the host has it already."""
        self.saved = time.monotonic()
        if not distributed.first():
            return
        self.watch.event("save", step=self.at)
        here = jax.device_get(self.now) if now is None else now
        checkpointing.save(self.workdir, here, self.progress, self.about, self.config.train.keep)
        self.watch.event("saved", step=self.at)

    def save_and_stop(self) -> None:
        self.save()
        self.watch.event("stop", step=self.at)
        self.log(f"stopped after step {self.at}; run the same command to resume")
        raise Stopped

    def draw(self, now: state.State | None) -> None:
        """Every few epochs, write pictures and sounds of a validation track's separation."""
        every = self.config.log.pictures_every
        if now is None or not every or self.progress.epoch % every:
            return
        if (example := self.data.example()) is None:
            return
        stems, mix = (to_channels(wave, self.step.model) for wave in example)
        truth = np.asarray(step.mixed(stems[None], self.data.mixing))[0]
        segment, rate = self.step.model.segment, self.step.model.sample_rate
        mix = mix[:, : segment.chunk(mix.shape[-1])]  # less only where that is too long
        length = segment.fit(mix.shape[-1])
        wave = self.separate(now.variables(), with_silence(mix, length)[None]).wave
        self.watch.pictures(self.at, mix, truth, np.asarray(wave)[0], rate)
