"""Time separation against PyTorch: full-size X-UMX, random weights, 60 s of stereo.

    make bench-separate        ARGS="--seconds 180 --rounds 11"

Theirs is asteroid's X-UMX on the whole track. It has no Wiener filter, so the like of it is ours
with `niter` 0; with 1 ours is what `separate.py` does by default. Every side lives in a process of
its own and they take turns. Fails unless our stems with niter 0 equal theirs, and those with niter
1 the files that `separate.py` writes.
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
import soundfile
from worker import KEPT, QUIET, Worker, environment, machine, take_turns

HERE = Path(__file__).parent
RATE = 44_100
LIMIT = 1e-4  # of the largest sample


def music(seconds: float, seed: int = 0) -> np.ndarray:
    """Make [channel, time] of decaying partials, beats and noise."""
    draw = np.random.default_rng(seed)
    t = np.arange(int(RATE * seconds)) / RATE
    wave = 0.01 * draw.normal(size=(2, t.size))
    wave += 0.1 * np.exp(-8 * (t % 0.4)) * draw.normal(size=(2, t.size))
    for pitch in draw.uniform(60, 4000, 24):
        fade = np.exp(-draw.uniform(1, 6) * ((t + draw.uniform()) % draw.uniform(0.3, 1.2)))
        wave += draw.uniform(0, 0.06, (2, 1)) * (fade * np.sin(2 * np.pi * pitch * t))
    return wave.astype(np.float32)


def sides(folder: Path):
    """Yield (name, command, environment); theirs comes first, because it makes the weights."""
    torch = [sys.executable, HERE / "separate_torch.py", folder]
    ours = [sys.executable, HERE / "separate_jax.py", folder]
    yield "torch", torch, QUIET
    yield "torch, heap kept", torch, KEPT
    yield "ours, niter 0", [*ours, 0], QUIET
    yield "ours, niter 1", [*ours, 1], QUIET


def measure(folder: Path, rounds: int) -> dict[str, dict]:
    """Run all sides in turn; {name: facts}, with the last outputs saved as FOLDER/<name>.npy."""
    with ExitStack() as stack:
        workers = {}
        for name, command, env in sides(folder):
            if "separate_jax" in str(command[1]) and not (folder / "weights.safetensors").exists():
                convert(folder)
            workers[name] = stack.enter_context(Worker(*command, env=env))
        facts = take_turns(workers, rounds)
        for name, worker in workers.items():
            facts[name]["peak_mib"] = worker.ask(f"save {folder / name}.npy")["peak_mib"]
    return facts


def convert(folder: Path) -> None:
    """Convert their weights as a user would, with our program."""
    command = [sys.executable, "-m", "xumx_jax.cli", "convert"]
    files = [folder / "weights.pth", folder / "weights.safetensors"]
    subprocess.run([*command, *files], check=True, stdout=subprocess.DEVNULL, env=environment())


def program(folder: Path, mix: np.ndarray) -> np.ndarray:
    """Separate with `separate.py` and its defaults; [source, channel, time] from its files."""
    soundfile.write(folder / "mix.wav", mix.T, RATE, subtype="FLOAT")
    options = ["--model", folder / "weights.safetensors", "--out", folder, "--bits", "32f"]
    command = [sys.executable, HERE.parent / "separate.py", folder / "mix.wav", *options]
    subprocess.run(command, check=True, env=environment(), stdout=sys.stderr)
    names = ("bass", "drums", "vocals", "other")
    return np.stack(
        [soundfile.read(folder / "mix" / f"{n}.wav", dtype="float32")[0].T for n in names]
    )


def compare(what: str, ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference relative to the largest sample; stops the program above LIMIT."""
    # Theirs ends with the last whole hop.
    length = theirs.shape[-1]
    if not ours.shape[-1] - 1024 < length <= ours.shape[-1]:
        raise SystemExit(f"{what}: {ours.shape[-1]} samples against {length}")
    difference = float(np.abs(ours[..., :length] - theirs).max() / np.abs(theirs).max())
    print(f"{what}: largest difference {difference:.1e} of the largest sample")
    if not difference <= LIMIT:
        raise SystemExit(f"{what}: above the limit, {LIMIT:g}")
    return difference


def report(facts: dict[str, dict], seconds: float) -> None:
    """Print the table, as Markdown."""
    print(
        "\n| | s | x real time | torch / it | CPU s | peak MiB | import s | load s | first run s |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name, fact in facts.items():
        took = fact["seconds"]
        print(
            f"| {name} | {took:.2f} | {seconds / took:.0f} | {facts['torch']['seconds'] / took:.2f}"
            f" | {fact['cpu_seconds']:.2f} | {fact['peak_mib']:.0f} | {fact['imported']:.1f}"
            f" | {fact['loaded'] - fact['imported']:.1f} | {fact['first']:.1f} |"
        )
    compiling = ", ".join(
        f"{name} {fact['first'] - fact['seconds']:.1f} s"
        for name, fact in facts.items()
        if name.startswith("ours")
    )
    print(f"\nOf the first run, compilation and warming up: {compiling}.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60, help="length of the signal")
    parser.add_argument("--rounds", type=int, default=7, help="how often every side runs")
    options = parser.parse_args()
    mix = music(options.seconds)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "mix.npy", mix)
        facts = measure(folder, options.rounds)
        load = os.getloadavg()[0]
        output = {side: np.load(folder / f"{side}.npy") for side in facts}
        equal = compare("niter 0 against torch", output["ours, niter 0"], output["torch"])
        files = program(folder, mix)
        compare("niter 1 against separate.py", output["ours, niter 1"], files)
    versions = f"torch {facts['torch']['version']}, jax {facts['ours, niter 0']['version']}"
    print(f"{machine()}, load {load:.1f}; {versions}, Python {platform.python_version()};", end=" ")
    print(f"{options.seconds:g} s of stereo, medians of {options.rounds} interleaved runs")
    report(facts, options.seconds)
    median = {side: fact["seconds"] for side, fact in facts.items()}
    cpu = {side: fact["cpu_seconds"] for side, fact in facts.items()}
    result = {
        "bench": "separate",
        "ratio": round(median["torch"] / median["ours, niter 0"], 3),
        "ratio_default": round(median["torch"] / median["ours, niter 1"], 3),
        "ratio_heap_kept": round(median["torch, heap kept"] / median["ours, niter 0"], 3),
        "difference": equal,
        "ratio_cpu": round(cpu["torch"] / cpu["ours, niter 0"], 3),
        "seconds": {side: round(value, 4) for side, value in median.items()},
        "peak_mib": {side: round(fact["peak_mib"]) for side, fact in facts.items()},
        "load": round(load, 2),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
