"""Time the sliCQ transform and both networks of xumx-sliCQ against PyTorch; measure long tracks.

    make bench-slicq                         ARGS="--rounds 5 --rows transform v2"
    make bench-slicq ARGS=--quick            fewer bands, hardly any music: does it all run?

transform   there and back, 30 s of stereo, against the package xumx-slicq-v2
forward     there alone, where coefficients can be compared
v2          the second version, 10 s from waveform to waveform, against the same package
v1          the first version's network, 10 s from coefficients to coefficients, against its
            restatement in PyTorch (`slicq_v1_torch.py`)
v1_train    loss and gradient of it, 4 x 1 s: transforms of mixture and sources, network, mean
            square of the magnitudes' errors in all groups of sources
memory      the most that a process takes that separates tracks of `--minutes` with the second
            version, block by block

Both sides have the same random weights, ours by way of our converters, and are compared: arrays,
and of training steps the loss and the norm of the gradient. The second version filters windows of
5000 values, ours by default all of a chunk at once: for the comparison ours also runs with theirs.
The sides take turns, each in its own process, which runs nothing else; each twice, as the system
has it and with what it frees kept, which for ours are the settings of our programs. Exits with 1 if
the sides differ by more than LIMIT.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import networks
import numpy as np
from networks import QUICK_ENVIRONMENT, rounded
from worker import KEPT, QUIET, Worker, environment, machine, take_turns

HERE = Path(__file__).parent
SAMPLE_RATE = 44_100
LIMIT = 1e-4  # of the largest value
OURS, OURS_KEPT, THEIRS, THEIRS_KEPT = "ours", "ours, heap kept", "torch", "torch, heap kept"
MEMORY, MINUTES, QUICK_MINUTES = "memory", (10.0, 60.0), (0.05, 0.1)
FIGURES = ("cpu_seconds", "seconds", "peak_mib")


@dataclass(frozen=True)
class Row:
    """What is measured, with what, and how much of it.

    starts   what both sides begin with, the name of a file
    shape    of the music before its time
    kind     of the weights, a key of our converters
    checked  another task of ours whose result is compared instead
    """

    seconds: float
    starts: str = "mix"
    shape: tuple[int, ...] = (1, 2)
    kind: str = ""
    checked: str = ""
    quick_seconds: float = 0.5

    def length(self, quick: bool) -> float:
        return self.quick_seconds if quick else self.seconds

    @staticmethod
    def transform(quick: bool) -> tuple[str, int, float]:
        """Scale, bins and lowest frequency: the published ones, or few bands."""
        return ("bark", 8, 1000.0) if quick else ("bark", 262, 32.9)

    @staticmethod
    def bandwidth_hz(quick: bool) -> float:
        """Of the first version."""
        return 3000.0 if quick else 16000.0


ROWS = {
    "transform": Row(30.0),
    "forward": Row(30.0),
    "v2": Row(10.0, kind="xumx-slicq-v2", checked="v2_windows"),
    "v1": Row(10.0, "coefficients", kind="xumx-slicq"),
    "v1_train": Row(1.0, "stems", (4, 4, 2), "xumx-slicq", quick_seconds=0.3),
    MEMORY: Row(1.0, kind="xumx-slicq-v2"),
}


def ours(folder: Path, task: str, heap: str, quick: bool, *more) -> Worker:
    env = QUIET | {"XUMX_CACHE": str(folder / "cache")} | (QUICK_ENVIRONMENT if quick else {})
    return Worker(sys.executable, HERE / "slicq_jax.py", folder, task, heap, *more, env=env)


def theirs(folder: Path, task: str, env: dict[str, str]) -> Worker:
    return Worker(sys.executable, HERE / "slicq_torch.py", folder, task, env=env)


def measure(name: str, rounds: int, quick: bool, folder: Path) -> dict:
    """Measure a row whose weights and music lie in `folder`."""
    with ours(folder, name, "kept", quick) as worker:
        cold = worker.facts["compiled"]
    checked, found = ROWS[name].checked, []
    if checked:
        with ours(folder, checked, "kept", quick) as worker:
            worker.ask("run")
            found.append(result(worker, folder))
    with ExitStack() as stack:
        workers = {
            OURS_KEPT: stack.enter_context(ours(folder, name, "kept", quick)),
            THEIRS_KEPT: stack.enter_context(theirs(folder, name, KEPT)),
            OURS: stack.enter_context(ours(folder, name, "plain", quick)),
            THEIRS: stack.enter_context(theirs(folder, name, QUIET)),
        }
        facts = take_turns(workers, rounds, in_row=2)
        found += [result(workers[side], folder) for side in (OURS_KEPT, OURS)]
        wanted = ordered(
            result(workers[THEIRS], folder), *(facts[s]["sources"] for s in (THEIRS, OURS))
        )
        differences = [compare(each, wanted) for each in found]
    return {
        "row": name,
        "versions": {side: facts[side]["version"] for side in (OURS, THEIRS)},
        "difference": differences[0] if checked else max(differences),
        "difference as timed": max(differences[-2:]),
        "compile": {"cold": cold, "cached": facts[OURS]["compiled"]},
        "cpu_seconds": {side: fact["cpu_seconds"] for side, fact in facts.items()},
        "seconds": {side: fact["seconds"] for side, fact in facts.items()},
        "peak_mib": {side: fact["runs"][-1]["peak_mib"] for side, fact in facts.items()},
    }


def measure_memory(minutes: list[float], quick: bool, folder: Path) -> dict:
    """Separate tracks of so many minutes -> {minutes: seconds and peak memory}."""
    found = {}
    for each in minutes:
        with ours(folder, MEMORY, "kept", quick, each) as worker:
            fact = worker.ask("run")
            if (samples := int(result(worker, folder))) != worker.facts["samples"]:
                raise SystemExit(f"{each:g} min: {samples} samples came back")
            found[f"{each:g}"] = {figure: fact[figure] for figure in FIGURES}
            print(f"{each:g} min: {rounded(fact)}", file=sys.stderr, flush=True)
    return {"row": MEMORY, "minutes": found}


def result(worker: Worker, folder: Path) -> np.ndarray:
    """The last result of a side."""
    worker.ask(f"save {folder / 'result.npy'}")
    return np.load(folder / "result.npy")


def ordered(array: np.ndarray, given: list[str], wanted: list[str]) -> np.ndarray:
    """[batch, source, ...] with the sources in another order; without sources as it is."""
    return array[:, [given.index(source) for source in wanted]] if given else array


def compare(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference: of a training step's values each, of arrays to the largest."""
    if ours.shape != theirs.shape:
        raise SystemExit(f"ours is {ours.shape}, theirs {theirs.shape}")
    return networks.compare(ours, theirs)


def ratios(found: dict) -> dict[str, float]:
    """{figure: PyTorch's over ours}, both with their heap kept, and both without."""
    made = {}
    for figure in FIGURES:
        values = found[figure]
        made[figure] = values[THEIRS_KEPT] / values[OURS_KEPT]
        made[f"{figure}_heap_not_kept"] = values[THEIRS] / values[OURS]
    return made


def table(results: list[dict]) -> str:
    """The results in Markdown; a ratio is PyTorch's figure over ours with as much kept."""
    lines = [
        "| row | side | CPU s | / ours | s | / ours | MiB | compile CPU s | cached | difference |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for r in results:
        for side in r["seconds"]:
            base, cells = OURS_KEPT if side in (OURS_KEPT, THEIRS_KEPT) else OURS, []
            for figure in ("cpu_seconds", "seconds"):
                value = r[figure][side]
                cells += [f"{value:.3g}", "" if side == base else f"{value / r[figure][base]:.2f}"]
            once = [f"{r['compile'][state]:.1f}" for state in ("cold", "cached")]
            once += [f"{r['difference']:.1e}"]
            cells += [f"{r['peak_mib'][side]:.0f}", *(once if side == OURS_KEPT else [""] * 3)]
            lines.append(f"| {r['row']} | {side} | {' | '.join(cells)} |")
    return "\n".join(lines)


def memory_table(minutes: dict) -> str:
    lines = ["| minutes | peak MiB | CPU s | s |", "|--:|--:|--:|--:|"]
    lines += [
        f"| {each} | {fact['peak_mib']:.0f} | {fact['cpu_seconds']:.0f} | {fact['seconds']:.0f} |"
        for each, fact in minutes.items()
    ]
    return "\n".join(lines)


def summary(timed: list[dict], long: list[dict]) -> dict:
    """What decides, by name; None where a row was left out."""
    of = {r["row"]: r["ratios"] for r in timed}
    names = {"ratio": "transform"} | {f"ratio_{row}": row for row in ("v2", "v1", "v1_train")}
    made = {name: of.get(row, {}).get("cpu_seconds") for name, row in names.items()}
    made["ratio_heap_not_kept"] = of.get("transform", {}).get("cpu_seconds_heap_not_kept")
    peaks = [fact["peak_mib"] for r in long for fact in r["minutes"].values()]
    return made | {"memory_mib": max(peaks, default=None)}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes: only whether it runs")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="default: %(default)s")
    parser.add_argument(
        "--minutes", nargs="+", type=float, metavar="N", help="of the row memory; default: 10 60"
    )
    given = parser.parse_args(arguments)
    minutes = given.minutes or list(QUICK_MINUTES if given.quick else MINUTES)
    timed, long = [], []
    for name in given.rows:
        with tempfile.TemporaryDirectory() as folder:
            make = [sys.executable, HERE / "slicq_weights.py", folder, name, str(int(given.quick))]
            subprocess.run(make, check=True, env=environment())
            if name == MEMORY:
                long.append(measure_memory(minutes, given.quick, Path(folder)))
                continue
            found = measure(name, given.rounds, given.quick, Path(folder))
        timed.append(found | {"ratios": ratios(found)})
        print(table(timed[-1:]), file=sys.stderr, flush=True)
    load = os.getloadavg()[0]
    versions = [f"{side} {version}" for r in timed[:1] for side, version in r["versions"].items()]
    print(f"{machine()}, load {load:.1f}", end="; ")
    print(", ".join([*versions, f"Python {platform.python_version()}"]), end="; ")
    print(f"medians of {given.rounds} interleaved rounds; in each, the second run in a row")
    if timed:
        print(table(timed))
    for r in long:
        print(memory_table(r["minutes"]))
    apart = [r for r in timed if not r["difference"] <= LIMIT]
    for r in apart:
        print(f"{r['row']}: differ by {r['difference']:.1e}, more than {LIMIT:g}")
    content = {"bench": "slicq", **summary(timed, long), "quick": given.quick}
    content |= {"rounds": given.rounds, "load": load}
    print(json.dumps({**rounded(content), "rows": [rounded(r) for r in timed + long]}))
    return 1 if apart else 0


if __name__ == "__main__":
    sys.exit(main())
