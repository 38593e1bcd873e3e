"""Time a training step against PyTorch: full-size X-UMX, batch 4 x 6 s.

    make bench-train        ARGS="--rounds 11"

Forward, multi-domain combination loss, backward, Adam with decay in the gradient. Theirs is
asteroid's X-UMX with the loss written in PyTorch, in two forms (`train_torch.py`); PyTorch's row is
its faster form. Every side has a separate process and they take turns. Fails unless both give the
same loss on the same weights and batch. On a GPU, see `train_gpu.py`.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import train_gpu
from worker import KEPT, QUIET, Worker, environment, machine, take_turns

HERE = Path(__file__).parent
RATE = 44_100
LIMIT = 5e-5  # of the loss; PyTorch's two forms differ by a fifth of it
SIDES = {
    "torch": (["train_torch.py", "products"], QUIET),
    "torch, heap kept": (["train_torch.py", "products"], KEPT),
    "torch, loss group by group": (["train_torch.py", "groups"], QUIET),
    "torch, group by group, heap kept": (["train_torch.py", "groups"], KEPT),
    "ours": (["train_jax.py", "float32"], QUIET),
    "ours, heap kept": (["train_jax.py", "float32"], KEPT),
}

# Comparing group by group takes PyTorch more time and memory; `--also` shows it.
USUAL = [side for side in SIDES if "group" not in side]


def songs(batch: int, seconds: float, seed: int = 0) -> np.ndarray:
    """Make [batch, source, channel, time]: partials that fade, low to high over the sources."""
    draw = np.random.default_rng(seed)
    t = np.arange(int(RATE * seconds)) / RATE
    stems = 0.003 * draw.normal(size=(batch, 4, 2, t.size))
    for item in range(batch):
        for source, top in enumerate((200, 1000, 4000, 12000)):
            for pitch in draw.uniform(40, top, 6):
                fade = np.exp(-draw.uniform(1, 6) * ((t + draw.uniform()) % 0.7))
                wave = fade * np.sin(2 * np.pi * pitch * t)
                stems[item, source] += draw.uniform(0, 0.1, (2, 1)) * wave
    return stems.astype(np.float32)


def measure(folder: Path, names: list[str], rounds: int) -> dict[str, dict]:
    """Run the sides in turn; {name: facts}."""
    with ExitStack() as stack:
        workers = {}
        for name in names:
            (script, *arguments), env = SIDES[name]
            command = [sys.executable, HERE / script, folder, *arguments]
            workers[name] = stack.enter_context(Worker(*command, env=env))
        facts = take_turns(workers, rounds)
        for fact in facts.values():
            fact["least"] = min(run["seconds"] for run in fact["runs"])
            fact["peak_mib"] = fact["runs"][-1]["peak_mib"]
    return facts


def check(folder: Path) -> dict:
    """Compare loss and gradients in a separate process; exits above LIMIT."""
    command = [sys.executable, HERE / "train_check.py", folder]
    run = subprocess.run(command, check=True, env=environment(), stdout=subprocess.PIPE, text=True)
    found = json.loads(run.stdout.splitlines()[-1])
    losses = found["loss"]
    difference = max(abs(value / losses["ours"] - 1) for value in losses.values())
    print("loss " + ", ".join(f"{side} {value:.6f}" for side, value in losses.items()), end="; ")
    print(f"they differ by {difference:.1e},", end=" ")
    print(f"gradients by at most {found['gradient']:.1e} of a tensor's largest ({found['of']})")
    if not difference <= LIMIT:
        raise SystemExit(f"the losses differ by more than {LIMIT:g}")
    return {"loss": difference, "gradient": found["gradient"]}


def report(facts: dict[str, dict]) -> None:
    """Print the table, as Markdown."""
    print("\n| | s a step | least | torch / it | CPU s | peak MiB | compile s | first step s |")
    print("|---|---|---|---|---|---|---|---|")
    for name, fact in facts.items():
        compiled = f"{fact['compiled']:.1f}" if "compiled" in fact else "-"
        print(
            f"| {name} | {fact['seconds']:.2f} | {fact['least']:.2f}"
            f" | {facts['torch']['seconds'] / fact['seconds']:.2f} | {fact['cpu_seconds']:.2f}"
            f" | {fact['peak_mib']:.0f} | {compiled} | {fact['first']:.1f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", choices=["cpu", "gpu"], default="cpu")
    parser.add_argument("--batch", type=int, nargs="+", help="examples a step; 4, on a GPU several")
    parser.add_argument("--precision", nargs="+", choices=train_gpu.PRECISIONS, help="on a GPU")
    parser.add_argument("--seconds", type=float, default=6, help="length of an example")
    parser.add_argument("--rounds", type=int, default=7, help="how often every side runs")
    parser.add_argument("--also", dest="sides", nargs="+", choices=SIDES, default=[])
    options = parser.parse_args()
    if options.device == "gpu":
        subprocess.run([sys.executable, HERE / "lstm_paths.py"], check=True, env=environment())
        batches, precisions = options.batch or [16, 32, 64], options.precision
        shape = batches, precisions or train_gpu.PRECISIONS, options.seconds
        return train_gpu.main(*shape, options.rounds, songs)
    (batch,) = options.batch or [4]
    names = [side for side in SIDES if side in {*USUAL, *options.sides}]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "stems.npy", songs(batch, options.seconds))
        command = [sys.executable, HERE / "train_torch.py", folder, "products"]
        subprocess.run(command, check=True, env=environment(), stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL)  # fmt: skip
        equal = check(folder)
        facts = measure(folder, names, options.rounds)
        load = os.getloadavg()[0]
    versions = f"torch {facts['torch']['version']}, jax {facts['ours']['version']}"
    print(f"{machine()}, load {load:.1f}; {versions}, Python {platform.python_version()};", end=" ")
    print(f"batch {batch} x {options.seconds:g} s, medians of {options.rounds} rounds")
    report(facts)

    def ratios(key):
        base = {kept: [] for kept in (False, True)}
        for side, fact in facts.items():
            if side.startswith("torch"):
                base[side.endswith("kept")].append(fact[key])
        return base

    seconds, peaks = ratios("seconds"), ratios("peak_mib")
    own = facts["ours"]
    result = {
        "bench": "train",
        "ratio": round(min(seconds[False]) / own["seconds"], 3),
        "ratio_heap_kept": round(min(seconds[True]) / facts["ours, heap kept"]["seconds"], 3)
        if seconds[True]
        else None,
        "ratio_cpu": round(facts["torch"]["cpu_seconds"] / own["cpu_seconds"], 3),
        "memory_ratio": round(min(peaks[False]) / own["peak_mib"], 3),
        "difference": equal,
        "seconds": {side: round(fact["seconds"], 4) for side, fact in facts.items()},
        "peak_mib": {side: round(fact["peak_mib"]) for side, fact in facts.items()},
        "compile_seconds": round(own["compiled"], 2),
        "load": round(load, 2),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
