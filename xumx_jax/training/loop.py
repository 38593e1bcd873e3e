"""The training loop: restore or begin, then epoch by epoch train, validate, print, save.

Data are passed in (`batches.Data`), so the loop neither knows nor imports an input pipeline.
"""

import dataclasses
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from xumx_jax import files
from xumx_jax.errors import UserError
from xumx_jax.models.interface import example_mix
from xumx_jax.training import checkpointing, distributed, phases, state, step, step_of_config
from xumx_jax.training.batches import Data, Examples, filled
from xumx_jax.training.config_checks import adapters_of, build, check
from xumx_jax.training.example import separated
from xumx_jax.training.identity import Defaults
from xumx_jax.training.initialization import begin
from xumx_jax.training.monitor.monitor import Monitor
from xumx_jax.training.schedule import Plateau, early_stopping, out_of_patience
from xumx_jax.training.step_of_config import build_optimizer, build_step, entered, files_read

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
    here, url = Path(workdir), config.train.store
    with checkpointing.locked(here, url, log) if distributed.first() else nullcontext() as copy:
        return Run(config, here, data, log, defaults, copy).run()


class Run:
    """One run: what stays the same (config, model, compiled steps) and what changes."""

    def __init__(self, config: ConfigDict, workdir: Path, data: Data, log, defaults, copy):
        check(config)
        phases.check(config)
        train = config.train
        self.config, self.workdir, self.data = config, workdir, data
        self.log, self.defaults, self.copy = log, defaults, copy
        if train.batch_size % jax.device_count():
            raise UserError(
                f"batch_size {train.batch_size} is not divisible by {jax.device_count()} devices"
            )
        distributed.agree(data.outline, "data")
        self.steps_per_epoch = step_of_config.steps_per_epoch(config, data.tracks)
        distributed.agree(files.digest_of([read := files_read(config)]), "files of augmentations")
        self.about, self.over = checkpointing.about(config, data.fingerprint + read), step.mesh()
        self.separate = jax.jit(build(config).apply)
        self.set_up(0)

    def set_up(self, epochs: int) -> None:
        """Build what the phase needs that the run is in after so many epochs."""
        self.phase = phases.during(self.config, epochs)
        self.step = build_step(self.config, epochs, self.steps_per_epoch, self.data.mixing)
        self.train_step = step.train_step(self.step, self.over)
        self.eval_step = step.eval_step(self.step, self.over)
        self.plateau = Plateau(**self.phase.optimizer.plateau)

    def run(self) -> Outcome:
        """Restore or begin, train, and return how the run ended."""
        config, epochs = self.config, self.config.train.epochs
        self.restore_or_begin()
        self.row = {}
        options = {"quiet": config.quiet, "active": distributed.first(), "log": self.log}
        options |= {"total_steps": self.steps_per_epoch * epochs, "batch": config.train.batch_size}
        options["scalars_every"] = config.log.scalars_every
        with (
            Monitor(self.workdir, self.step.model.sources, **options) as self.watch,
            distributed.Watchdog(60 * config.train.stall_minutes) as watchdog,
            distributed.Preemption(watchdog) as self.stop,
        ):
            self.watch.event("start", step=self.at, epoch=self.progress.epoch)
            try:
                while self.goes_on():
                    self.train_phase()
            except Stopped:
                return Outcome(self.row, self.stop.signal)
        if not self.row:
            self.log(f"nothing to do: the run has ended after epoch {self.progress.epoch}")
        elif self.progress.epoch < epochs:
            self.log(f"no better loss in {self.progress.stale} epochs: training ends")
        return Outcome(self.row)

    def goes_on(self) -> bool:
        """Whether there is another epoch to train."""
        return self.progress.epoch < self.config.train.epochs and not out_of_patience(self.early)

    def train_phase(self) -> None:
        """Train to the end of the phase, or of the run."""
        phase = self.phase
        with self.data.train(self.at * phase.train.batch_size, phase) as batches:
            batches = iter(batches)
            while self.goes_on() and self.phase is phase:
                self.train_epoch(batches)
                self.row = self.end_epoch()

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
            if phases.phases_of(self.config):
                self.set_up(self.progress.epoch)
            shapes = jax.eval_shape(partial(self.fresh, self.progress.epoch))
            blank = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
            self.now = distributed.share(blank if now is None else now)
        patience = self.config.train.patience
        self.early = early_stopping(patience, self.progress.best, self.progress.stale)
        self.at, self.saved = int(self.now.step), time.monotonic()
        self.now = step.replicate(self.now, self.over)

    def fresh(self, epochs: int = 0) -> state.State:
        """A state with weights drawn from the seed, for the phase after so many epochs."""
        model, mix = self.step.model, example_mix(self.step.model)
        key, average = jax.random.key(self.config.train.seed), self.config.train.average > 0
        adam = build_optimizer(phases.during(self.config, epochs))
        more, adapters = bool(phases.phases_of(self.config)), adapters_of(self.config)
        return state.init(model, adam, key, mix, self.plateau.init(), average, more, adapters)

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
        row |= {"lr": float(step.learning_rate(done, counters, plateau, self.step))}
        self.watch.epoch(row)
        self.progress = checkpointing.TrainingProgress(
            epoch, float(self.early.best_metric), self.early.patience_count
        )
        improved = self.early.has_improved
        if (phase := phases.beginning(self.config, epoch)) is not None:
            self.enter(phase)
        now = jax.device_get(self.now) if distributed.first() else None
        if improved and now is not None:
            # before the checkpoint: a kill between the two repeats the epoch and writes it again
            checkpointing.save_best(self.workdir, now, self.progress, self.about, value)
        self.save(now)
        self.draw(now)
        return row

    def enter(self, phase: phases.Phase) -> None:
        """Go on with what a phase changes."""
        before = self.step
        self.set_up(phase.epochs)
        self.now = step.replicate(entered(self.now, phase, before, self.step), self.over)
        if phase.changes_loss:
            self.progress = checkpointing.TrainingProgress(phase.epochs)
            self.early = early_stopping(self.config.train.patience)
        self.watch.event("phase", step=self.at, epoch=phase.epochs)
        changes = ", ".join(f"{key} {value!r}" for key, value in phase.changes.items())
        self.log(f"after epoch {phase.epochs}: {changes}")

    def validate(self) -> dict:
        """The weighted means of losses and SDRs; empty without validation data."""
        sums: dict = {}
        variables = self.now.variables()
        for pieces in self.data.valid():
            if self.stop.asked_alone():
                self.save_and_stop()
            pieces = step.shard(filled(pieces, self.step.model.segment), self.over)
            values = jax.device_get(self.eval_step(variables, pieces))
            sums = {key: sums.get(key, 0.0) + np.float64(value) for key, value in values.items()}
        return step.means(sums) if sums else {}

    def save(self, now: state.State | None = None) -> None:
        """Write a checkpoint; `now` is the current state, if the host has it already."""
        self.saved = time.monotonic()
        if not distributed.first():
            return
        self.watch.event("save", step=self.at)
        here = jax.device_get(self.now) if now is None else now
        checkpointing.save(self.workdir, here, self.progress, self.about, self.config.train.keep)
        self.watch.event("saved", step=self.at)
        self.copy()

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
        found = separated(self.data, self.step, self.separate, now.variables())
        if found is not None:
            self.watch.pictures(self.at, *found, self.step.model.sample_rate)
