"""What can be seen of a run: a table, a progress bar, `metrics.jsonl`, TensorBoard, pictures.

Logs never stop a run: if one cannot be written, a line says so once, and training continues.
"""

import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from xumx_jax import files
from xumx_jax.training.monitor import pictures
from xumx_jax.training.monitor.logs import Board, Lines

LOG = logging.getLogger(__name__)
PICTURES = "pictures"  # in a workdir
SECONDS = 8.0  # from the middle of a track, in pictures and sounds


@dataclass
class Pace:
    """How fast steps were, and how much of the time was spent waiting for input."""

    steps: int = 0
    seconds: float = 0.0
    waiting: float = 0.0

    def add(self, seconds: float, waiting: float) -> None:
        self.steps, self.seconds = self.steps + 1, self.seconds + seconds
        self.waiting += waiting

    def examples_per_second(self, batch: int) -> float:
        return batch * self.steps / self.seconds if self.seconds else float("nan")

    def wait_share(self) -> float:
        return self.waiting / self.seconds if self.seconds else float("nan")


class Monitor:
    """Shows and stores what a run reports; a context manager.

    sources        names for values that are arrays [source]
    batch          examples per step, over all devices and processes
    total_steps    end of the progress bar
    scalars_every  steps between points in TensorBoard
    quiet          no table and no progress bar; files are still written
    active         False in all processes but one: then every call does nothing
    log            prints a line

    Time counts as training time from the first step on, and only between a call of any kind and the
    next step: compiling, validating, saving and drawing count in neither examples/s nor waiting.
    """

    def __init__(
        self,
        workdir: str | Path,
        sources: tuple[str, ...],
        *,
        batch: int,
        total_steps: int | None = None,
        scalars_every: int = 10,
        quiet: bool = False,
        active: bool = True,
        log: Callable = LOG.info,
    ):
        self.workdir, self.sources, self.batch = Path(workdir), tuple(sources), batch
        self.total_steps, self.scalars_every = total_steps, scalars_every
        self.quiet, self.active, self.log = quiet, active, log
        self.table = Table(self.say, self.sources)
        self.lines = Lines(self.workdir / "metrics.jsonl")
        self.board = Board(self.workdir / "tensorboard")
        self.bar: tqdm | None = None
        self.at = 0  # the step of the last call
        self.mark: float | None = None  # when it ended, once there was a step
        self.point, self.lap = Pace(), Pace()  # since the last point in TensorBoard, and epoch
        self.failed: set[Path] = set()
        self.truth_written = False  # mix and truth, which stay the same

    def __enter__(self):
        if self.active:
            self._try(self.workdir, partial(self.workdir.mkdir, parents=True, exist_ok=True))
        return self

    def __exit__(self, *_) -> None:
        if self.bar is not None:
            self.bar.close()
        self._try(self.lines.path, self.lines.close)
        self._try(self.board.folder, self.board.close)

    def step(self, step: int, values: dict, *, waiting_seconds: float) -> None:
        """Report a training step: its losses, lr, ..., each a number or an array [source]."""
        if not self.active:
            return
        now = time.monotonic()
        if self.mark is not None:
            for pace in (self.point, self.lap):
                pace.add(now - self.mark, waiting_seconds)
        self._advance(step, values.get("loss"))
        named = by_source(values, self.sources)
        self._line({"step": step, "time": now_seconds()} | named | {"waiting": waiting_seconds})
        if step % self.scalars_every == 0:
            scalars = {f"train/{tag}": value for tag, value in flat(named, "/").items()}
            if self.point.steps:
                scalars["train/examples_per_second"] = self.point.examples_per_second(self.batch)
                scalars["train/input_wait_share"] = self.point.wait_share()
            self._try(self.board.folder, self.board.scalars, step, scalars)
            self.point = Pace()
        self.mark = now

    def epoch(self, row: dict) -> None:
        """Report an epoch: "epoch", "step", "train" and "valid" (losses), "lr" and other terms.

        Examples per second and the percentage of time spent waiting for input are added.
        """
        if not self.active:
            return
        rate, share = self.lap.examples_per_second(self.batch), self.lap.wait_share()
        if not self.quiet:
            self.table.row(row | {"examples/s": rate, "wait %": 100 * share})
        row = by_source(row, self.sources)
        when = {"epoch": row.pop("epoch"), "step": row.pop("step"), "time": now_seconds()}
        self._line(when | row | {"examples_per_second": rate, "input_wait_share": share})
        tags = {"train": "train/epoch_loss", "valid": "valid/loss", "lr": "lr"}
        scalars = {tags.get(k, f"valid/{k}"): v for k, v in flat(row, "/").items()}
        self.at = when["step"]
        self._try(self.board.folder, self.board.scalars, self.at, scalars, True)
        self.lap = Pace()
        self._restart()

    def event(self, name: str, **values) -> None:
        """Record that something happened, at `step=` or else at the step of the last call.

        The first one after a start says which step the run resumes from.
        """
        if not self.active:
            return
        self.at = values.get("step", self.at)
        self._line({"event": name, "step": self.at, "time": now_seconds()} | values)
        self._restart()

    def pictures(
        self, step: int, mix: np.ndarray, truth: np.ndarray, estimate: np.ndarray, rate: int
    ) -> None:
        """Show and play mix [channel, time], truth and estimate [source, channel, time].

        For the middle SECONDS: a picture and a sound per source to TensorBoard, truth and mix only
        once; all pictures in one as `pictures/step-<step>.png`.
        """
        if not self.active:
            return
        length = min(wave.shape[-1] for wave in (mix, truth, estimate))
        part = pictures.middle(length, round(SECONDS * rate))
        mix, truth, estimate = (np.asarray(w)[..., part] for w in (mix, truth, estimate))
        top = pictures.loudest(mix, rate)
        drawn = {
            f"{source}/spectrogram": pictures.compare(true, guess, top, source, rate)
            for source, true, guess in zip(self.sources, truth, estimate, strict=True)
        }
        sounds = {f"{s}/estimate": wave for s, wave in zip(self.sources, estimate, strict=True)}
        if not self.truth_written:
            sounds |= {f"{s}/truth": wave for s, wave in zip(self.sources, truth, strict=True)}
            sounds |= {"mix/mix": mix}
        self.truth_written = True
        self._try(self.board.folder, self.board.images, step, drawn)
        self._try(self.board.folder, self.board.sounds, step, sounds, rate)
        path = self.workdir / PICTURES / f"step-{step:08d}.png"
        self._try(path.parent, save, path, pictures.png(pictures.beside(list(drawn.values()))))
        self._restart()

    def say(self, line: str) -> None:
        """Print a line without disturbing the progress bar."""
        if not self.active:
            return
        if self.bar is not None:
            self.bar.clear()
        self.log(line)
        if self.bar is not None:
            self.bar.refresh()

    def _restart(self) -> None:
        """Restart the clock, if there has been a step."""
        self.mark = None if self.mark is None else time.monotonic()

    def _line(self, record: dict) -> None:
        self._try(self.lines.path, self.lines.write, record)

    def _advance(self, step: int, loss: float | None) -> None:
        """Move the progress bar, if there is one."""
        if self.bar is None and not self.quiet and sys.stderr.isatty():
            self.bar = tqdm(total=self.total_steps, initial=self.at, unit="step", leave=False)
        if self.bar is not None:
            if loss is not None:
                self.bar.set_postfix_str(f"loss {float(loss):.4g}", refresh=False)
            self.bar.update(step - self.at)
        self.at = step

    def _try(self, path: Path, write: Callable, *args) -> None:
        """Write; if that fails, say so the first time."""
        try:
            write(*args)
        except OSError as error:
            if path not in self.failed:
                self.failed.add(path)
                why = error.strerror or error
                self.say(f"warning: {path}: cannot be written ({why}); training continues")


class Table:
    """Prints rows under a header; an array [source] takes one column per source."""

    def __init__(self, log: Callable, sources: tuple[str, ...]):
        self.log, self.sources, self.header = log, sources, []

    def row(self, values: dict) -> None:
        """Print one row, below a new header if its columns differ from the last row's."""
        cells = flat(by_source(values, self.sources), " ")
        if list(cells) != self.header:
            self.log("  ".join(f"{key:>{self.width(key)}}" for key in cells))
            self.header = list(cells)
        texts = (
            f"{value:>{self.width(key)}d}"
            if isinstance(value, int)
            else f"{value:>{self.width(key)}.4g}"
            for key, value in cells.items()
        )
        self.log("  ".join(texts))

    @staticmethod
    def width(key: str) -> int:
        return max(len(key), 9)


def by_source(values: dict, sources: tuple[str, ...]) -> dict:
    """Name the elements of arrays [source]: {"a": 1, "b": {source: 2, ...}}."""
    return {
        key: dict(zip(sources, value, strict=True)) if np.ndim(value) else value
        for key, value in values.items()
    }


def flat(values: dict, joint: str) -> dict:
    """{"b": {"bass": 2}} -> {"b<joint>bass": 2}."""
    found: dict = {}
    for key, value in values.items():
        nested = value.items() if isinstance(value, dict) else ()
        found |= {f"{key}{joint}{name}": item for name, item in nested} or {key: value}
    return found


def save(path: Path, content: bytes) -> None:
    with files.replacing(path, durable=False) as partial:
        partial.write_bytes(content)


def now_seconds() -> float:
    """Seconds since 1970, to the millisecond."""
    return round(time.time(), 3)
