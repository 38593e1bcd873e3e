"""A run's checkpoints: what is in them, when they fit a config, and who may write them.

`checkpoints/<step>` holds two Orbax items, `model` (what separating restores: params and
batch_stats, averaged if the run averages) and `optimizer` (all else of the state), and in its
description `TrainingProgress`, the config and what it was trained on. `best` holds the model alone.
Nothing else is needed to go on exactly: data and dropout are functions of seed and step.
"""

import contextlib
import dataclasses
import fcntl
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from xumx_jax.errors import CheckpointError, UserError
from xumx_jax.training.config_checks import flatten
from xumx_jax.training.state import State
from xumx_jax.versions import installed
from xumx_jax.weights import store

# What may change between one start and the next; the rest made the weights what they are.
FREE = (
    "train.epochs", "train.patience", "train.keep", "train.save_steps", "train.save_minutes",
    "train.max_bad_steps", "train.weights", "data.root", "data.workers", "data.engine",
    "data.musdb.cache", "data.generated.cache", "data.generated.processes",
    "log", "quiet",
)  # fmt: skip


@dataclasses.dataclass
class TrainingProgress:
    """Where a run stands, beside its arrays; JSON-able.

    `epoch` counts those trained and validated; `sums` are the losses of the steps since, `best` is
    the lowest validation loss and `stale` the epochs since it was found.
    """

    epoch: int = 0
    best: float | None = None
    stale: int = 0
    sums: dict = dataclasses.field(default_factory=dict)

    def means(self) -> dict:
        """Of the losses in `sums`, over the steps that gave one; empty before the first."""
        steps = self.sums.get("steps", 0)
        return {key: np.asarray(value) / steps for key, value in self.sums.items()} if steps else {}

    def add(self, values: dict) -> None:
        """Take in one step's losses, scalars or [source]."""
        for key, value in values.items():
            so_far = np.asarray(self.sums.get(key, 0.0))
            self.sums[key] = (so_far + np.asarray(value, np.float64)).tolist()


@contextlib.contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """Keep other runs out of a workdir, and clear up after one that was killed in it."""
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        file = (workdir / ".lock").open("w")
    except OSError as error:
        raise UserError(f"{workdir}: cannot be used as a workdir ({error.strerror})") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # ends with the process, however
        except OSError as error:
            raise UserError(f"{workdir}: another run is using it") from error
        for folder in (workdir, workdir / store.STEPS):
            store.tidy(folder)
        yield


def items(state: State) -> dict:
    """Sort a state into the items of a checkpoint."""
    model = state.variables()
    rest = {
        field.name: getattr(state, field.name)
        for field in dataclasses.fields(state)
        if field.name != "average"
    }
    if state.average is None:  # then the model is the weights themselves
        del rest["params"], rest["batch_stats"]
    return {"model": model, "optimizer": rest}


def save(workdir: Path, state: State, progress: TrainingProgress, about: dict, keep: int) -> None:
    """Write `checkpoints/<step>`, then remove all but the newest `keep`.

    Checkpoints of later steps are damaged, else the run had gone on from them: they go first.
    """
    step = int(state.step)
    folder = workdir / store.STEPS / f"{step:08d}"
    store.write(folder, items(state), describe(about, step, progress))
    steps = sorted(path for path in folder.parent.glob("[0-9]*") if path.name.isdigit())
    kept = [path for path in steps if int(path.name) <= step][-keep:]
    for path in steps:
        if path not in kept:
            shutil.rmtree(path, ignore_errors=True)


def save_best(
    workdir: Path, state: State, progress: TrainingProgress, about: dict, value: float
) -> None:
    """Write `best`."""
    description = describe(about, int(state.step), progress)
    description["info"]["value"] = value
    store.write(workdir / "best", {"model": state.variables()}, description)


def describe(about: dict, step: int, progress: TrainingProgress) -> dict:
    info = {"step": step, "progress": dataclasses.asdict(progress), "versions": versions()}
    return {**about, "info": {**about["info"], **info}}


def versions() -> dict[str, str]:
    """Of what could have changed the numbers; a package run without being installed has none."""
    return installed(("xumx_jax", "jax", "flax", "optax", "orbax-checkpoint", "numpy"))


def about(config: ConfigDict, fingerprint: str) -> dict:
    """What a checkpoint of this run says of itself."""
    info = {
        "export": config.export.to_dict(),
        "loss": config.loss.name,
        "config": config.to_dict(),
        "data": fingerprint,
    }
    args = config.model.args.to_dict()
    return {"name": config.model.name, "args": args, "info": info}


def restore(workdir: Path, shapes: State, config: ConfigDict) -> tuple[State, dict] | None:
    """The newest good checkpoint's state and `info`; None in a workdir that never had one.

    Raises CheckpointError where there are only damaged ones, and UserError where it was made by
    another config.
    """
    steps = workdir / store.STEPS
    if not any(path.name.isdigit() for path in steps.glob("[0-9]*")):
        return None
    folder = store.newest(workdir)
    info = store.describe(folder)["info"]
    if "progress" not in info:
        raise CheckpointError(f"{folder}: not a checkpoint of training")
    if lines := differences(info["config"], config.to_dict()):
        raise UserError(
            f"{folder}: was made by another config; give it another --workdir, or make these "
            f"equal: {'; '.join(lines)}"
        )
    wanted = items(shapes)
    found = {name: store.read(folder, name, tree, False) for name, tree in wanted.items()}
    rest = found["optimizer"]
    average = None if shapes.average is None else found["model"]
    model = found["model"] if average is None else {}
    return State(**rest, **model, average=average), info


def differences(theirs: dict, ours: dict) -> list[str]:
    """Name the keys of two configs that differ, but for FREE ones: "key: theirs, now ours"."""
    theirs, ours = flatten(theirs), flatten(json.loads(json.dumps(ours)))  # tuples become lists
    bound = {"train.epochs"} if ours["optimizer.schedule"] != "constant" else set()
    lines = []
    for key in sorted({*theirs, *ours}):
        free = any(key == name or key.startswith(f"{name}.") for name in FREE)
        if free and key not in bound:
            continue
        if theirs.get(key) != ours.get(key):
            lines.append(f"{key} was {theirs.get(key)!r}, now {ours.get(key)!r}")
    return lines
