"""`make bench-train ARGS="--device gpu"`: the training step on a GPU, with other LSTMs beside ours.

    python bench/train.py --device gpu --batch 16 32 64 --precision float32 tf32 bfloat16

It needs JAX and PyTorch that both see the GPU. Every side has a separate process; those with the
same batch size and precision take turns. A side that fails, perhaps for lack of memory, is named
and left out.
"""

import json
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from worker import QUIET, Worker

HERE = Path(__file__).parent
PRECISIONS = ("float32", "tf32", "bfloat16")
STEPS = 10  # a run, so that the wait at its end weighs little
ENVIRONMENT = {**QUIET, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


def sides(folder: Path, precision: str):
    """Yield (name, command)."""
    yield "torch", [sys.executable, HERE / "train_torch.py", folder, "products", precision, STEPS]
    for path in ("loop", "scan", "cudnn"):
        if (path, precision) != ("cudnn", "bfloat16"):
            command = [sys.executable, HERE / "train_jax.py", folder, precision, path, STEPS]
            yield f"ours, {path}", command


def measure(folder: Path, precision: str, rounds: int) -> dict[str, dict]:
    """Run all sides in turn; {name: facts}."""
    facts = {}
    with ExitStack() as stack:
        workers = {}
        for name, command in sides(folder, precision):
            try:
                worker = stack.enter_context(Worker(*command, env=ENVIRONMENT))
                first = worker.ask("run")
            except SystemExit as error:
                print(f"{name}, {precision}: {error}", file=sys.stderr)
                continue
            workers[name] = worker
            facts[name] = {**worker.facts, "first": first["seconds"], "runs": []}
        for _ in range(rounds):
            for name, worker in workers.items():
                facts[name]["runs"].append(worker.ask("run"))
    for fact in facts.values():
        fact["seconds"] = statistics.median(run["seconds"] for run in fact["runs"]) / STEPS
        fact["device_mib"] = fact["runs"][-1]["device_mib"]
    return facts


def main(batches: list[int], precisions: list[str], seconds: float, rounds: int, songs) -> None:
    print("| batch | precision | | ms a step | torch / it | device MiB | compile s |")
    print("|---|---|---|---|---|---|---|")
    results = []
    for batch in batches:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            np.save(folder / "stems.npy", songs(batch, seconds))
            for precision in precisions:
                facts = measure(folder, precision, rounds)
                base = facts["torch"]["seconds"] if "torch" in facts else float("nan")
                for side, fact in facts.items():
                    ratio, compiled = base / fact["seconds"], fact.get("compiled", 0)
                    print(
                        f"| {batch} | {precision} | {side} | {1000 * fact['seconds']:.1f}"
                        f" | {ratio:.2f} | {fact['device_mib']:.0f} | {compiled:.1f} |",
                        flush=True,
                    )
                    results.append([batch, precision, side, fact["seconds"], fact["device_mib"]])
    print(json.dumps({"bench": "train on gpu", "results": results}))
