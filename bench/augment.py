"""Measure what augmentations cost beside a training step of X-UMX: batch 16 x 6 s, on the CPU.

    make bench-augment          ARGS="--rounds 9"
    python bench/augment.py --quick     a tiny model and short examples: does it all run?

Augmentations of `xumx_jax.augment`, with their defaults, are compiled alone, and speed and pitch
also into the step; they and the step take turns in one process, and other examples are chosen each
time. Effects of `pipelines.mixing.effects` change every stem of a batch on one core of the host:
times the share of stems that a recipe has changed, that is what its workers spend. Music, weights
and impulse responses are random. Fails if the step takes more than 15 % longer with speed and
pitch, in CPU seconds, unless --quick.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

from worker import KEPT, machine

HERE = Path(__file__).parent
LIMIT = 0.15  # of a step, for speed and pitch together
BOTH, STEP, STEP_WITH_BOTH = "speed, pitch", "step", "step with speed, pitch"
# as `train.py` starts itself: the heap is kept
ENVIRONMENT = {**KEPT, "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "2"}
QUICK_ENVIRONMENT = {"XLA_FLAGS": "--xla_backend_optimization_level=0"}


def measure(what: str, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """{name: {cpu_seconds, seconds} of a batch, medians} of "step" or "effects"."""
    size = [options.batch, options.seconds, options.rounds, int(options.quick)]
    command = [sys.executable, HERE / "augment_side.py", what, *size]
    environment = {**os.environ, **ENVIRONMENT, **(QUICK_ENVIRONMENT if options.quick else {})}
    command = [str(word) for word in command]
    run = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True)
    return json.loads(run.stdout.splitlines()[-1])


def report(head: str, facts: dict[str, dict], step: dict) -> None:
    """Print a table, as Markdown."""
    print(f"\n| {head} | CPU s a batch | % of the step's | s | % of the step's |")
    print("|---|--:|--:|--:|--:|")
    for name, fact in facts.items():
        cells = [
            f"{fact[key]:.3f} | {100 * fact[key] / step[key]:.1f}"
            for key in ("cpu_seconds", "seconds")
        ]
        print(f"| {name} | {' | '.join(cells)} |")


def shares(facts: dict[str, dict], step: dict) -> dict[str, float]:
    """What each takes of the step's CPU seconds."""
    return {
        name: round(fact["cpu_seconds"] / step["cpu_seconds"], 4) for name, fact in facts.items()
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--batch", type=int, default=16, help="examples a step")
    parser.add_argument("--seconds", type=float, default=6, help="length of an example")
    parser.add_argument("--rounds", type=int, default=7, help="how often everything runs")
    parser.add_argument("--quick", action="store_true", help="a tiny model, 2 examples of 0.2 s")
    options = parser.parse_args(arguments)
    if options.quick:
        options.batch, options.seconds, options.rounds = 2, 0.2, 1
    inside, effects = (measure(what, options) for what in ("step", "effects"))
    step, load = inside.pop(STEP), os.getloadavg()[0]
    print(f"{machine()}, load {load:.1f}; Python {platform.python_version()};", end=" ")
    print(f"batch {options.batch} x {options.seconds:g} s, medians of {options.rounds} rounds;")
    print(f"a step without augmentations takes {step['cpu_seconds']:.2f} CPU s,", end=" ")
    print(f"{step['seconds']:.2f} s")
    report("inside the step, defaults", inside, step)
    report("on the host, every stem", effects, step)
    more = {key: inside[STEP_WITH_BOTH][key] / step[key] - 1 for key in step}
    result = {
        "bench": "augment",
        "ratio": round(more["cpu_seconds"], 4),
        "ratio_wall": round(more["seconds"], 4),
        "inside": shares(inside, step),
        "effects": shares(effects, step),
        "step": {key: round(value, 3) for key, value in step.items()},
        "load": round(load, 2),
    }
    failed = not options.quick and not more["cpu_seconds"] <= LIMIT
    if failed:
        print(f"with speed and pitch the step takes more than {LIMIT:.0%} longer")
    print(json.dumps(result))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
