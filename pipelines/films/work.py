"""All mixtures of a run, in one or several processes; those that are there already stay."""

from collections.abc import Iterator
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

from pipelines.films.mixture import Recipe, compose, write
from pipelines.processes import follow_parent, pool
from xumx_jax import files
from xumx_jax.commands.console import say
from xumx_jax.errors import UserError

SHARES = {"tr": 0.7, "cv": 0.1, "tt": 0.2}  # of mixtures, and of the files in each folder
_shared: list[tuple[Recipe, Path]] = []  # in a process of a pool, what it was begun with


def counts_of(mixtures: int) -> dict[str, int]:
    """How many mixtures each split has; what rounding leaves over is for training."""
    counts = {name: round(share * mixtures) for name, share in SHARES.items()}
    counts["tr"] = mixtures - counts["cv"] - counts["tt"]
    return counts


def make_all(recipe: Recipe, mixtures: int, out: Path, processes: int) -> None:
    """Make the mixtures OUT/<split>/<number> that are missing, and print what was left out.

    Nobody else may be writing there. Raises UserError if a folder has no usable files, and OSError.
    """
    from tqdm import tqdm

    wanted = []
    for name, count in counts_of(mixtures).items():
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        files.remove_leftovers(folder)  # of a killed run
        wanted += [
            (name, number) for number in range(count) if not place(out, name, number).exists()
        ]
    told: set[Path] = set()
    each = _each(recipe, out, wanted, min(processes, len(wanted)))
    done = mixtures - len(wanted)
    for faults in tqdm(each, "films", mixtures, initial=done, unit="mixture", disable=None):
        for path, why in faults.items():
            if path not in told:
                say("warning", f"{why}; left out", "films")
                told.add(path)


def place(out: Path, split: str, number: int) -> Path:
    """The folder of a mixture."""
    return out / split / f"{number:05d}"


def make(recipe: Recipe, out: Path, name: str, number: int) -> dict[Path, str]:
    """Make one mixture -> {file: why it was left out}."""
    made = compose(recipe, list(SHARES).index(name), name, number)
    write(made, recipe.rate, place(out, name, number))
    return made.faults


def _each(recipe: Recipe, out: Path, wanted: list[tuple[str, int]], processes: int) -> Iterator:
    if processes < 2:
        yield from (make(recipe, out, *task) for task in wanted)
        return
    with pool(processes, partial(_begin, recipe, out)) as workers:
        for task in as_completed([workers.submit(_make, *one) for one in wanted]):
            try:
                yield task.result()
            except BrokenProcessPool as error:
                raise UserError("a process was killed; the same command goes on") from error


def _begin(recipe: Recipe, out: Path) -> None:
    follow_parent()
    _shared.append((recipe, out))


def _make(name: str, number: int) -> dict[Path, str]:
    return make(*_shared[-1], name, number)
