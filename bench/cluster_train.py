"""Time a training step over devices and processes: the same curve, and at what cost?

    make bench-cluster      (or: python bench/cluster_train.py; --quick tries it out)

X-UMX with the multi-domain loss, one batch divided among 1, 2 and 4 simulated devices of a process
and among 2 processes, each on a core of its own. Efficiency is CPU seconds of the step on one
device, per CPU seconds on all of them together, so that other work on the machine counts little.
Then the arithmetic of `simulate_scale.py` is asked how long the step of two processes takes: from
steps on one device with all, a half and a quarter of the batch, and from exchanges alone. Its error
is what it is wrong by, in CPU seconds of a process (and in seconds, which other work lengthens).
Fails if the losses of all steps do not agree to 1e-3, or their first ones to 1e-5.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

import jax
from scale_arithmetic import Level, Step, all_reduce_seconds, line_through
from worker import machine

HERE = Path(__file__).parent
# (processes, devices of each)
LAYOUTS = ((1, 1), (1, 2), (1, 4), (2, 1), (2, 2))
PORTIONS = (1, 2, 4)  # of the batch on one device: all of it, a half, a quarter
LIMITS = 1e-5, 1e-3  # relative, of the first loss and of all: Adam enlarges rounding


def run(layout: tuple[int, int], batch: int, options: argparse.Namespace) -> dict:
    """Take steps in processes of their own; the facts that the first one prints."""
    processes, devices = layout
    flags = f"--xla_force_host_platform_device_count={devices}"
    flags += (
        " --xla_backend_optimization_level=0" * options.quick
    )  # compiled in a third of the time
    environment = os.environ | {
        "XLA_FLAGS": f"{flags} --xla_cpu_multi_thread_eigen=false",
        "JAX_PLATFORMS": "cpu",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")]),
    }
    command = ["-m", "xumx_jax.training.launch", "--processes", processes]
    command += [HERE / "cluster_train_side.py", options.hidden, batch, options.seconds]
    done = subprocess.run(
        [sys.executable, *map(str, [*command, options.steps])],
        env=environment, stdout=subprocess.PIPE, text=True, timeout=900,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{processes} processes of {devices} devices ended with an error")
    return json.loads(done.stdout.splitlines()[-1])


def measure(options: argparse.Namespace) -> dict[tuple[int, int, int], dict]:
    """{(processes, devices, batch): facts}, in turns; of each the medians over the rounds."""
    tasks = [(*layout, options.batch) for layout in LAYOUTS]
    tasks += [(1, 1, options.batch // portion) for portion in PORTIONS[1:]]
    found = {task: [] for task in tasks}
    for _ in range(options.rounds):
        for task in tasks:
            found[task].append(run(task[:2], task[2], options))
    return {task: merged(facts) for task, facts in found.items()}


def merged(rounds: list[dict]) -> dict:
    """Medians of what was measured; what must not change from round to round as it is."""
    keys = [key for key in rounds[0] if key.endswith("seconds")]
    return rounds[0] | {key: statistics.median(each[key] for each in rounds) for key in keys}


def differences(found: dict, batch: int) -> tuple[float, float]:
    """The largest relative differences to the losses of one device: of the first step, of all."""
    wanted = found[1, 1, batch]["losses"]
    curves = [found[(*layout, batch)]["losses"] for layout in LAYOUTS]
    apart = [[abs(a / b - 1) for a, b in zip(c, wanted, strict=True)] for c in curves]
    return max(one[0] for one in apart), max(map(max, apart))


def predicted(found: dict, batch: int, clock: str) -> Step:
    """The step of two processes by arithmetic, from what was measured of one, and of exchanges.

    `clock` is "seconds", or "cpu_seconds" of each process.
    """
    points = [(b, facts[clock]) for (p, d, b), facts in found.items() if (p, d) == (1, 1)]
    constant, slope = line_through(points)
    two, sharing = found[2, 1, batch], 2 if clock == "cpu_seconds" else 1
    large, message = (two[f"{of}_{clock}"] / sharing for of in ("exchange", "message"))
    # one message is two rounds of latency; what the large exchange takes longer is its bytes
    link = Level(2, two["gradient_bytes"] / max(large - message, 1e-9), message / 2)
    exchange = all_reduce_seconds(two["gradient_bytes"], [link], two["all_reduces"])
    return Step(constant + slope * batch / 2, exchange, 0.0)


def errors(found: dict, batch: int) -> dict[str, dict[str, float]]:
    """{clock: what was predicted of the step of two processes, what was measured, the error}."""
    made = {}
    for clock, sharing in (("cpu_seconds", 2), ("seconds", 1)):
        step, measured = predicted(found, batch, clock), found[2, 1, batch][clock] / sharing
        made[clock] = step._asdict() | {
            "predicted": step.seconds, "measured": measured, "error": step.seconds / measured - 1
        }  # fmt: skip
    return made


def table(found: dict, batch: int) -> str:
    one = found[1, 1, batch]
    lines = [
        "| processes | devices of each | s | CPU s | efficiency, CPU s | speed-up | all-reduces |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for layout in LAYOUTS:
        facts = found[(*layout, batch)]
        share, faster = (one[k] / facts[k] for k in ("cpu_seconds", "seconds"))
        lines.append(
            f"| {layout[0]} | {layout[1]} | {facts['seconds']:.2f} | {facts['cpu_seconds']:.2f} | "
            f"{100 * share:.0f} % | {faster:.2f} | {facts['all_reduces']} |"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=2.0, help="of music in an example")
    parser.add_argument("--hidden", type=int, default=256, help="size of the network")
    parser.add_argument("--quick", action="store_true", help="hardly any music")
    options = parser.parse_args(arguments)
    if options.quick:
        vars(options).update(rounds=1, steps=2, batch=4, seconds=0.2, hidden=8)
    load = os.getloadavg()[0]
    found = measure(options)
    first, worst = differences(found, options.batch)
    two, check = found[2, 1, options.batch], errors(found, options.batch)
    print(f"{machine()}, jax {jax.__version__}, Python {platform.python_version()}")
    print(f"load before {load:.1f}; {options.rounds} rounds of {options.steps} steps")
    print(table(found, options.batch))
    print(
        f"losses agree to {first:.1e} in the first step, {worst:.1e} in all; "
        f"gradients of {two['gradient_bytes'] / 1e6:.1f} MB, alone {two['exchange_seconds']:.3f} s"
    )
    for clock, each in check.items():
        print(
            f"two processes by arithmetic, {clock.replace('_', ' ')}: {each['compute']:.2f} + "
            f"{each['exchange']:.2f} = {each['predicted']:.2f}, measured {each['measured']:.2f}: "
            f"error {100 * each['error']:+.0f} %"
        )
    one = found[1, 1, options.batch]["cpu_seconds"]
    efficiency = {f"{p}x{d}": one / found[p, d, options.batch]["cpu_seconds"] for p, d in LAYOUTS}
    result = {
        "benchmark": "cluster_train", "efficiency": efficiency, "difference": worst,
        "arithmetic": check, "load": load,
        "layouts": {"x".join(map(str, task)): facts for task, facts in found.items()},
    }  # fmt: skip
    print(json.dumps(result))
    if not (first <= LIMITS[0] and worst <= LIMITS[1]):
        print("the curves differ", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
