"""Time separation against PyTorch: full-size X-UMX, random weights, 180 s of stereo.

    make bench-separate        ARGS="--heap-kept --rounds 5"

What is timed is the whole program after import: weights are loaded, a WAV file is read and four
are written. Theirs is asteroid's X-UMX on the whole track, alone and followed by Open-Unmix's
Wiener filter; ours is what `separate.py` does, with `--niter` 0 and 1 (the default). Every side
has a separate process and they take turns. The first run, in which ours compiles, is shown
separately, and so are the seconds of whole processes on a short file, with an empty and with a full
cache of compiled code. Fails unless our stems equal theirs.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import soundfile
from worker import KEPT, QUIET, Worker, environment, machine, take_turns

HERE = Path(__file__).parent
RATE = 44_100
NAMES = ("bass", "drums", "vocals", "other")
LIMIT = 1e-4  # of the largest sample
LIMIT_WIENER_DB = 60  # below each stem
SHORT = 5.0  # seconds of the file that whole processes are timed on
PLAIN, FILTERED = "torch", "torch, Open-Unmix' filter"
KEEPING = ", heap kept"
THEIRS = {0: PLAIN, 1: FILTERED}
OURS = {0: "ours, niter 0", 1: "ours, niter 1"}


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


def sides(folder: Path, kept: bool):
    """Yield (name, command, environment); theirs comes first, because it makes the weights."""

    def theirs(name, niter, env):
        return name, [sys.executable, HERE / "separate_torch.py", folder, folder / name, niter], env

    for niter, name in THEIRS.items():
        yield theirs(name, niter, QUIET)
        if kept:
            yield theirs(name + KEEPING, niter, KEPT)
    for niter, name in OURS.items():
        yield name, *our_side(folder, name, niter)


def our_side(folder: Path, name: str, niter: int):
    """The command of our side and its environment, with a cache of compiled code for itself."""
    command = [sys.executable, HERE / "separate_jax.py", folder, folder / name, niter]
    return command, QUIET | {"XUMX_CACHE": str(folder / f"cache of {name}")}


def measure(folder: Path, rounds: int, kept: bool) -> dict[str, dict]:
    """Run all sides in turn; {name: facts}. Stems lie in FOLDER/<name>/mix."""
    with ExitStack() as stack:
        workers = {}
        for name, command, env in sides(folder, kept):
            if "separate_jax" in str(command[1]) and not (folder / "weights.safetensors").exists():
                convert(folder)
            workers[name] = stack.enter_context(Worker(*command, env=env))
        facts = take_turns(workers, rounds)
    for fact in facts.values():
        fact["peak_mib"] = fact["runs"][-1]["peak_mib"]
    return facts


def convert(folder: Path) -> None:
    """Convert their weights as a user would, with our program."""
    command = [sys.executable, "-m", "xumx_jax.cli", "convert"]
    files = [folder / "weights.pth", folder / "weights.safetensors"]
    subprocess.run([*command, *files], check=True, stdout=subprocess.DEVNULL, env=environment())


def start_up(folder: Path) -> dict[str, dict]:
    """{state of the cache: seconds of import, load, the first run's excess, a whole process}."""
    soundfile.write(folder / "short.wav", music(SHORT).T, RATE)
    cache = {"XUMX_CACHE": str(folder / "cache of processes")}
    options = ["--model", folder / "weights.safetensors", "--out", folder / "short"]
    command = [sys.executable, HERE.parent / "separate.py", folder / "short.wav", *options]
    took = []
    for _ in range(4):
        begin = time.perf_counter()
        subprocess.run(command, check=True, env=environment() | cache, stdout=subprocess.DEVNULL)
        took.append(time.perf_counter() - begin)
    side, env = our_side(folder, OURS[1], 1)
    with Worker(*side, env=env) as side:
        facts = {**side.facts, "first": side.ask("run")["seconds"]}
        facts["excess"] = facts["first"] - side.ask("run")["seconds"]
    return {"cold": {"process": took[0]}, "cached": {**facts, "process": min(took[1:])}}


def stems(folder: Path, name: str) -> np.ndarray:
    """The stems that a side wrote, [source, channel, time]."""
    files = [folder / name / "mix" / f"{source}.wav" for source in NAMES]
    return np.stack([soundfile.read(file, dtype="float32")[0].T for file in files])


def compare(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference relative to the largest sample; exits above LIMIT."""
    # Theirs ends with the last whole hop.
    length = theirs.shape[-1]
    if not ours.shape[-1] - 1024 < length <= ours.shape[-1]:
        raise SystemExit(f"niter 0: {ours.shape[-1]} samples against {length}")
    difference = float(np.abs(ours[..., :length] - theirs).max() / np.abs(theirs).max())
    print(f"niter 0 against torch: largest difference {difference:.1e} of the largest sample")
    if not difference <= LIMIT:
        raise SystemExit(f"niter 0: above the limit, {LIMIT:g}")
    return difference


def compare_filtered(folder: Path, ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float]:
    """How far the differences are below their filtered stems, in dB, minimum over the sources.

    Returns it with Open-Unmix's rules and with our default rules. The former exits below
    LIMIT_WIENER_DB: with the same windows and regularisation, the only difference is rounding.
    """
    from xumx_jax.separation.separator import Separator
    from xumx_jax.weights.load import load_module

    wave, rate = soundfile.read(folder / "mix.wav", dtype="float32")
    module, variables, _ = load_module(folder / "weights.safetensors")
    same = Separator(module, variables, post_filter="openunmix")(wave.T, rate)
    same, usual = (below(x, theirs) for x in (np.stack([same[name] for name in NAMES]), ours))
    print(f"niter 1 with Open-Unmix' rules: difference {same:.1f} dB below each of their stems;")
    print(f"with ours, the default: {usual:.1f} dB")
    if not same >= LIMIT_WIENER_DB:
        raise SystemExit(f"niter 1: wanted {LIMIT_WIENER_DB} dB")
    return same, usual


def below(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Energy of each stem over that of the difference, in dB, the minimum over stems."""
    wrong = np.square(ours - theirs, dtype=np.float64).sum((1, 2))
    return float(10 * np.log10(np.square(theirs, dtype=np.float64).sum((1, 2)) / wrong).min())


def report(facts: dict[str, dict], starts: dict[str, dict], seconds: float) -> None:
    """Print the tables, as Markdown."""
    print("\n| | s | x real time | CPU s | peak MiB | of s: load | import s | first run s |")
    print("|---|---|---|---|---|---|---|---|")
    for name, fact in facts.items():
        print(
            f"| {name} | {fact['seconds']:.2f} | {seconds / fact['seconds']:.0f} "
            f"| {fact['cpu_seconds']:.2f} | {fact['peak_mib']:.0f} | {fact['loading']:.1f} "
            f"| {fact['imported']:.1f} | {fact['first']:.1f} |"
        )
    print("\n| ours, niter 1 | import s | load s | compile s | `separate.py` on 5 s of sound, s |")
    print("|---|---|---|---|---|")
    for name, fact in starts.items():
        print(
            f"| {name} | {fact['imported']:.1f} | {fact['loading']:.1f} | {fact['excess']:.1f} "
            f"| {fact['process']:.1f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=180, help="length of the signal")
    parser.add_argument("--rounds", type=int, default=3, help="how often every side runs")
    parser.add_argument(
        "--heap-kept", action="store_true", help="theirs with this setting of glibc, too"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        soundfile.write(folder / "mix.wav", music(options.seconds).T, RATE, subtype="PCM_16")
        facts = measure(folder, options.rounds, options.heap_kept)
        load = os.getloadavg()[0]
        equal = compare(stems(folder, OURS[0]), stems(folder, PLAIN))
        same, usual = compare_filtered(folder, stems(folder, OURS[1]), stems(folder, FILTERED))
        starts = start_up(folder)
    ours = facts[OURS[1]]
    starts["cold"] |= {**ours, "excess": ours["first"] - ours["seconds"]}
    versions = f"torch {facts[PLAIN]['version']}, jax {ours['version']}"
    print(f"{machine()}, load {load:.1f}; {versions}, Python {platform.python_version()};", end=" ")
    print(f"{options.seconds:g} s of stereo, medians of {options.rounds} interleaved runs")
    report(facts, starts, options.seconds)
    result = {
        "bench": "separate",
        **ratios(facts),
        "difference": equal,
        "below_wiener_db": round(same, 1),
        "below_default_db": round(usual, 1),
        "start_up": {state: shown(fact) for state, fact in starts.items()},
        "seconds": {side: round(fact["seconds"], 3) for side, fact in facts.items()},
        "peak_mib": {side: round(fact["peak_mib"]) for side, fact in facts.items()},
        "load": round(load, 2),
    }
    print(json.dumps(result))


def ratios(facts) -> dict[str, float]:
    """Theirs over ours: medians of seconds, of CPU seconds, with the heap kept; peak memory."""
    made = {}
    for what, key, kept in (
        ("ratio", "seconds", ""),
        ("ratio_cpu", "cpu_seconds", ""),
        ("ratio_heap_kept", "seconds", KEEPING),
        ("memory_ratio", "peak_mib", ""),
    ):
        for niter, after in ((0, ""), (1, "_wiener")):
            if (theirs := THEIRS[niter] + kept) in facts:
                made[what + after] = round(facts[theirs][key] / facts[OURS[niter]][key], 3)
    return made


def shown(fact) -> dict[str, float]:
    return {name: round(fact[name], 2) for name in ("imported", "loading", "excess", "process")}


if __name__ == "__main__":
    main()
