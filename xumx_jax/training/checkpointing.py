"""A run's checkpoints: what they contain, which configs they fit, and who may write them.

`checkpoints/<step>` holds two Orbax items, `model` (what separation needs: params and other
collections, averaged if the run averages, adapters added to the weights) and `optimizer` (the rest
of the state; in a run with adapters all of it), and in its description `TrainingProgress`, the
config and what it was trained on. `best` is a pointer to `best-<step>`, which holds only the model.
Nothing else is needed to resume exactly: data, augmentations and dropout are functions of
seed and step.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from xumx_jax import files
from xumx_jax.errors import CheckpointError, UserError
from xumx_jax.training import mirror
from xumx_jax.training.identity import Defaults, differences
from xumx_jax.training.monitor.monitor import PICTURES
from xumx_jax.training.state import State
from xumx_jax.versions import installed
from xumx_jax.weights import adapters, pointer, store

BEST = "best"  # of a workdir


@dataclasses.dataclass
class TrainingProgress:
    """How far a run has come, apart from its arrays; JSON-able.

    `epoch` counts the epochs trained and validated; `sums` are the losses of the steps since then,
    `best` is the lowest validation loss and `stale` the number of epochs since it was found.
    """

    epoch: int = 0
    best: float | None = None
    stale: int = 0
    sums: dict = dataclasses.field(default_factory=dict)

    def means(self) -> dict:
        """The means of the losses in `sums` over the steps that had one; empty before the first."""
        steps = self.sums.get("steps", 0)
        return {key: np.asarray(value) / steps for key, value in self.sums.items()} if steps else {}

    def add(self, values: dict) -> None:
        """Take in one step's losses, scalars or [source]."""
        for key, value in values.items():
            so_far = np.asarray(self.sums.get(key, 0.0))
            self.sums[key] = (so_far + np.asarray(value, np.float64)).tolist()


@contextlib.contextmanager
def locked(workdir: Path, url: str = "", log: Callable = print) -> Iterator[Callable[[], None]]:
    """Lock a workdir against other runs, and clean up after one that was killed in it.

    With the `url` of a place in an object store, what is newer there is brought here first; what
    this yields, called, has what is newer here copied there.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(files.locked(workdir / ".lock", waiting=None))
        except BlockingIOError as error:
            raise UserError(f"{workdir}: another run is using it") from error
        except OSError as error:
            why = error.strerror
            raise UserError(f"{workdir}: cannot be used as a workdir ({why})") from error
        for folder in (workdir, workdir / store.STEPS, workdir / PICTURES):
            files.remove_leftovers(folder)
        pointer.recover(workdir / BEST)
        if not url:
            yield lambda: None
            return
        yield stack.enter_context(mirror.Mirror(url, workdir, log)).send


def items(state: State) -> dict:
    """Split a state into the items of a checkpoint."""
    rest = {field.name: getattr(state, field.name) for field in dataclasses.fields(state)}
    if state.frozen is None or state.average is None:
        del rest["average"]
    if state.frozen is None:
        del rest["frozen"]
        if state.average is None:  # then the model is the weights themselves
            del rest["params"], rest["collections"]
    return {"model": state.variables(), "optimizer": rest}


def state_of(found: dict, fresh: Callable[[], State], folder: Path) -> State:
    """Make a state from a checkpoint's items; `fresh()` is a new run's first state.

    A field of State that is newer than the checkpoint gets its fresh value.
    """
    wanted = jax.eval_shape(lambda: items(fresh()))
    known = {name: tree for name, tree in wanted["optimizer"].items() if name in found["optimizer"]}
    rest = store.fit(found["optimizer"], known, folder / "optimizer")
    if set(known) < set(wanted["optimizer"]):
        rest = items(jax.device_get(jax.jit(fresh)()))["optimizer"] | rest
    if "frozen" in rest:  # all of the state: the model is what adapters and weights make
        return State(**{"average": None} | rest)
    model = store.fit(found["model"], wanted["model"], folder / "model")
    if "params" in wanted["optimizer"]:
        return State(**rest, average=model)
    params = model.pop("params")
    return State(**rest, params=params, collections=model, average=None)


def save(workdir: Path, state: State, progress: TrainingProgress, about: dict, keep: int) -> None:
    """Write `checkpoints/<step>`, then remove all but the newest `keep`.

    Checkpoints of later steps are damaged, or the run would have resumed from them: they are
    removed first. One that a process is loading at the moment is removed next time.
    """
    step = int(state.step)
    folder = workdir / store.STEPS / f"{step:08d}"
    store.write(folder, items(state), describe(about, step, progress))
    steps = sorted(path for path in folder.parent.glob("[0-9]*") if path.name.isdigit())
    kept = [path for path in steps if int(path.name) <= step][-keep:]
    for path in steps:
        if path not in kept:
            pointer.remove_unread(path)


def save_best(
    workdir: Path, state: State, progress: TrainingProgress, about: dict, value: float
) -> None:
    """Save the current model, and point `best` to it; also its adapters alone, if it has any."""
    step = int(state.step)
    description = describe(about, step, progress)
    description["info"]["value"] = value

    def write(folder: Path) -> None:
        store.write(folder, {"model": state.variables()}, description)

    pointer.point(workdir / BEST, step, write)
    if state.frozen is not None:
        kept = {"params": state.params, **state.collections}
        kept = dict(kept if state.average is None else state.average)
        trained, scale = kept.pop("params"), state.frozen["scale"]
        adapters.write(workdir / adapters.FILE, trained, scale, kept, about["name"], about["args"])


def describe(about: dict, step: int, progress: TrainingProgress) -> dict:
    info = {"step": step, "progress": dataclasses.asdict(progress), "versions": versions()}
    return {**about, "info": {**about["info"], **info}}


def versions() -> dict[str, str]:
    """Versions of what could change the numbers; a package that is not installed has none."""
    return installed(("xumx_jax", "jax", "flax", "optax", "orbax-checkpoint", "numpy"))


def about(config: ConfigDict, fingerprint: str) -> dict:
    """The description of a checkpoint of this run."""
    info = {
        "export": config.export.to_dict(),
        "loss": config.loss.name,
        "config": config.to_dict(),
        "data": fingerprint,
    }
    args = config.model.args.to_dict()
    return {"name": config.model.name, "args": args, "info": info}


def restore(
    workdir: Path, fresh: Callable[[int], State], config: ConfigDict, defaults: Defaults
) -> tuple[State, dict] | None:
    """Restore the newest good checkpoint -> (state, `info`); None if the workdir never had one.

    `fresh(epochs)` makes a first state of the form that this run has after so many epochs. Raises
    CheckpointError if all of them are damaged, and UserError if the checkpoint was made by another
    config.
    """
    steps = workdir / store.STEPS
    if not any(path.name.isdigit() for path in steps.glob("[0-9]*")):
        return None
    folder = store.newest(workdir)
    info = store.describe(folder)["info"]
    if "progress" not in info:
        raise CheckpointError(f"{folder}: not a checkpoint of training")
    if lines := differences(info["config"], config.to_dict(), defaults):
        raise UserError(
            f"{folder}: was made by another config; give it another --workdir, or make these "
            f"equal: {'; '.join(lines)}"
        )
    found = {name: store.read(folder, name, check=False) for name in ("model", "optimizer")}
    return state_of(found, partial(fresh, info["progress"]["epoch"]), folder), info
