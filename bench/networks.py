"""Time networks against PyTorch: one chunk of music, and one training step (`aimless`, `modern`).

Both sides have the same random weights, ours by way of our converters, and are compared: waveforms,
and of training steps the loss and the norm of the gradient. A step is forward and gradient of the
mean square of the waveforms, batch 1. The sides take turns, each in its own process, which runs
nothing but this model: ours with compiled code from a cache, PyTorch as it is, and PyTorch with
what it frees kept (`worker.KEPT`). Where PyTorch is faster with fewer threads than there are cores,
both are measured, and each figure is compared with the better of the two. Exits with 1 if the sides
differ by more than LIMIT.

A bench is a module with ROWS, and beside it one called <bench>_torch with MODELS, {row: function
that makes PyTorch's model}.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from worker import KEPT, QUIET, Worker, environment, machine, take_turns

HERE = Path(__file__).parent
TASKS = ("infer", "train")
LIMIT = 1e-4  # of the largest value
OURS, PLAIN, KEEPING = "ours", "torch", "torch, heap kept"
QUICK_ENVIRONMENT = {"XLA_FLAGS": "--xla_backend_optimization_level=0"}


@dataclass(frozen=True)
class Row:
    """A model, by the arguments of PyTorch's, and a chunk of its music.

    decisive   whether its inference counts for the smallest ratio of CPU seconds
    """

    seconds: float
    args: dict = field(default_factory=dict)
    quick: dict = field(default_factory=dict)  # arguments for --quick
    quick_seconds: float = 0.2
    tasks: tuple[str, ...] = ("infer",)
    threads: tuple[int, ...] = (2,)  # of PyTorch
    decisive: bool = True
    told: tuple[str, ...] = ()  # arguments that the file of weights states

    def stated(self, args: dict) -> dict:
        """Those of PyTorch's model that its file states."""
        return {name: args[name] for name in self.told if name in args}


@dataclass(frozen=True)
class Bench:
    """What `make bench-<name>` measures."""

    name: str
    rows: dict[str, Row]


def measure(bench: Bench, name: str, task: str, rounds: int, quick: bool, folder: Path) -> dict:
    """Measure one task of a model whose weights lie in `folder`: a row of the results."""
    cache = {"XUMX_CACHE": str(folder / f"cache of {task}")}
    env = QUIET | cache | (QUICK_ENVIRONMENT if quick else {})
    ours = [sys.executable, HERE / "networks_jax.py", folder, name, task]
    with Worker(*ours, env=env) as worker:
        cold = worker.facts["compiled"]
    with ExitStack() as stack:
        workers = {OURS: stack.enter_context(Worker(*ours, env=env))}
        for side, env in ((PLAIN, QUIET), (KEEPING, KEPT)):
            for threads in bench.rows[name].threads:
                command = [sys.executable, HERE / "networks_torch.py", folder, bench.name, name]
                command += [task, threads]
                title = f"{side} ({threads} thread{'s' * (threads > 1)})"
                workers[title] = stack.enter_context(Worker(*command, env=env))
        facts = take_turns(workers, rounds, in_row=2)
        theirs = next(title for title in workers if title != OURS)
        difference = compare(*(result(workers[title], folder) for title in (OURS, theirs)))
    return {
        "row": name,
        "task": task,
        "versions": {OURS: facts[OURS]["version"], PLAIN: facts[theirs]["version"]},
        "difference": difference,
        "compile": {"cold": cold, "cached": facts[OURS]["compiled"]},
        "cpu_seconds": {side: fact["cpu_seconds"] for side, fact in facts.items()},
        "seconds": {side: fact["seconds"] for side, fact in facts.items()},
        "peak_mib": {side: fact["runs"][-1]["peak_mib"] for side, fact in facts.items()},
        "gflop": facts[theirs]["gflop"],
        "gemm_gflop_per_s": facts[OURS]["gemm"],
    }


def result(worker: Worker, folder: Path) -> np.ndarray:
    """The last result of a side."""
    worker.ask(f"save {folder / 'result.npy'}")
    return np.load(folder / "result.npy")


def compare(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference: of a training step's values each, of waveforms to the largest."""
    ours = ours.reshape(theirs.shape)  # their BandSplitRNN has no axis for its one source
    each = theirs.ndim == 1
    largest = np.abs(theirs) if each else np.abs(theirs).max()
    return float((np.abs(ours - theirs) / largest).max())


def ratios(found: dict) -> dict[str, float]:
    """{figure: the best of PyTorch over ours}, as it is and with its heap kept."""
    made = {}
    for figure in ("cpu_seconds", "seconds", "peak_mib"):
        for side, after in ((PLAIN, ""), (KEEPING, "_heap_kept")):
            best = min(v for title, v in found[figure].items() if title.startswith(f"{side} ("))
            made[figure + after] = best / found[figure][OURS]
    return made


def table(results: list[dict]) -> str:
    """The results in Markdown.

    A ratio is that side's seconds over ours; "of GEMM" is which share of the rate of a large matrix
    product is reached, counting the operations of products and convolutions alone.
    """
    lines = [
        "| model | | side | CPU s | / ours | of GEMM | s | / ours | MiB | compile s | cached | "
        "difference |",
        "|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for r in results:
        for side in r["seconds"]:
            cells = []
            for figure in ("cpu_seconds", "seconds"):
                value, base = r[figure][side], r[figure][OURS]
                cells += [f"{value:.2f}", "" if side == OURS else f"{value / base:.2f}"]
                if figure == "cpu_seconds":
                    share = r["gflop"] and r["gflop"] / value / r["gemm_gflop_per_s"]
                    cells.append(f"{100 * share:.0f} %" if share else "")
            once = [f"{r['compile'][state]:.1f}" for state in ("cold", "cached")]
            once += [f"{r['difference']:.1e}"]
            cells += [f"{r['peak_mib'][side]:.0f}", *(once if side == OURS else [""] * 3)]
            lines.append(f"| {r['row']} | {r['task']} | {side} | {' | '.join(cells)} |")
    return "\n".join(lines)


def rounded(value):
    """Numbers to four digits, at any depth."""
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value


def main(bench: Bench, about: str, arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes: only whether it runs")
    names = list(bench.rows)
    parser.add_argument("--rows", nargs="+", choices=names, default=names, metavar="MODEL")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS), metavar="TASK")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="default: %(default)s")
    given = parser.parse_args(arguments)
    results = []
    for name in given.rows:
        tasks = [task for task in given.tasks if task in bench.rows[name].tasks]
        with tempfile.TemporaryDirectory() as folder:
            if tasks:
                make = [sys.executable, HERE / "networks_weights.py", folder, bench.name, name]
                subprocess.run([*make, str(int(given.quick))], check=True, env=environment())
            for task in tasks:
                found = measure(bench, name, task, given.rounds, given.quick, Path(folder))
                results.append(found | {"ratios": ratios(found)})
                print(table(results[-1:]), file=sys.stderr, flush=True)
    if not results:
        parser.error("none of these models has such a task")
    versions = ", ".join(f"{side} {version}" for side, version in results[0]["versions"].items())
    load = os.getloadavg()[0]
    print(f"{machine()}, load {load:.1f}; {versions}, Python {platform.python_version()};", end=" ")
    print(f"medians of {given.rounds} interleaved rounds; in each, the second run in a row")
    print(table(results))
    apart = [r for r in results if not r["difference"] <= LIMIT]
    for r in apart:
        print(f"{r['row']}, {r['task']}: differ by {r['difference']:.1e}, more than {LIMIT:g}")
    content = {"bench": bench.name, "quick": given.quick, "rounds": given.rounds, "load": load}
    for key, figure in (("ratio", "cpu_seconds"), ("ratio_heap_kept", "cpu_seconds_heap_kept")):
        decisive = [
            r["ratios"][figure]
            for r in results
            if bench.rows[r["row"]].decisive and r["task"] == "infer"
        ]
        content[key] = min(decisive, default=None)
    print(json.dumps({**rounded(content), "rows": [rounded(r) for r in results]}))
    return 1 if apart else 0
