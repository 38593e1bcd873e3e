"""Time BSSEval v4 against museval: four stereo stems of 30 s, windows and hops of 1 s.

    make bench-evaluate        ARGS="--rounds 5 --also 'museval, heap kept'"

It uses a generated song (the plain engine, 16 bit) and a separation of it by masks. Every side has
a separate process and they take turns on the same two cores; the first turn, in which ours
compiles, is shown separately. museval cannot compute a single metric, so SDR alone is compared with
all of its v4. Ours also scores ten minutes, read from files on the way. Fails unless SDR is that of
museval within 1e-6 dB and ISR, SIR and SAR within 1e-3 dB in every frame.

With `--device gpu` ours runs there, in either precision, beside ours on the CPU.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import istft, stft
from worker import KEPT, QUIET, Worker, machine, take_turns

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from pipelines.songs.mixing import render  # noqa: E402

RATE = 44_100
CORES = 2
SEED = 220_000  # held out from training
METRICS = ("SDR", "ISR", "SIR", "SAR")
LIMITS = {"SDR": 1e-6, "ISR": 1e-3, "SIR": 1e-3, "SAR": 1e-3}  # dB
ALSO = {
    "museval, one thread": ("museval", {**QUIET, "OPENBLAS_NUM_THREADS": "1"}),
    "museval, heap kept": ("museval", KEPT),
    "ours, heap kept": ("float64", {**KEPT, "JAX_PLATFORMS": "cpu"}),
}


def song(seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Make references and estimates, float32 [source, channel, time].

    The estimates are the mixture under smoothed masks, a little low, with some of the mixture.
    """
    stems = render(SEED, RATE, seconds, "plain").stems
    references = (np.round(stems * 2**15) / 2**15).astype(np.float32)
    mix = references.sum(0)

    def spectrum(wave):
        return stft(wave, nperseg=2048, noverlap=1536)[2]

    size = np.abs(spectrum(references))
    masked = size / (size.sum(0) + 1e-9) * spectrum(mix)
    estimates = istft(masked, nperseg=2048, noverlap=1536)[1][..., : mix.shape[-1]]
    return references, (0.9 * estimates + 0.02 * mix).astype(np.float32)


def write(folder: Path, seconds: float, long_seconds: float) -> None:
    """Write the song as arrays, and over and over, LONG_SECONDS in all, as 32-bit WAV."""
    for name, waves in zip(("references", "estimates"), song(seconds), strict=True):
        np.save(folder / f"{name}.npy", waves)
        (folder / name).mkdir()
        for source, wave in enumerate(waves):
            path = folder / name / f"{source}.wav"
            with soundfile.SoundFile(path, "w", RATE, wave.shape[0], "FLOAT") as file:
                left = round(long_seconds * RATE)
                while left > 0:
                    file.write(wave.T[:left])
                    left -= wave.shape[-1]


def sides(folder: Path, device: str, also: list[str]):
    """Yield (name, command, environment)."""

    def command(side, *platform):
        return [sys.executable, HERE / "evaluate_side.py", side, folder, *platform]

    yield "museval", command("museval"), QUIET
    for name in also:
        yield name, command(ALSO[name][0]), ALSO[name][1]
    for where in dict.fromkeys(("cpu", device)):
        # Left alone, JAX takes the fastest device and most of its memory.
        env = {"JAX_PLATFORMS": "cpu"} if where == "cpu" else {}
        env |= {**QUIET, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
        for side in ("float64", "float32", "sdr"):
            yield f"ours, {where}, {side}", command(side, where), env


def once(folder: Path, side: str, platform: str) -> dict:
    """Run a side a single time, including compilation -> its answer."""
    env = {"JAX_PLATFORMS": "cpu"} if platform == "cpu" else {}
    command = [sys.executable, HERE / "evaluate_side.py", side, folder, platform]
    with Worker(*command, env={**QUIET, **env}) as worker:
        return worker.ask("run")


def measure(folder: Path, options) -> dict[str, dict]:
    """Run all sides in turn; {name: facts}, facts["scores"] being [metric, source, frame]."""
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(Worker(*command, env=env))
            for name, command, env in sides(folder, options.device, options.also)
        }
        facts = take_turns(workers, options.rounds)
        for name, worker in workers.items():
            for key in ("seconds", "cpu_seconds"):
                facts[name][key] /= worker.facts.get("repeats", 1)
            facts[name]["before_mib"] = worker.facts["peak_mib"]
            facts[name] |= worker.ask(f"save {folder / 'scores.npy'}")
            facts[name]["scores"] = np.load(folder / "scores.npy")
    return facts


def differences(scores: np.ndarray, wanted: np.ndarray) -> dict[str, tuple[float, float]]:
    """The largest and the median difference of every metric in dB; NaN against a number: inf."""
    found = {}
    for metric, ours, theirs in zip(METRICS, scores, wanted, strict=False):
        with np.errstate(invalid="ignore"):
            apart = np.where(ours == theirs, 0, np.abs(ours - theirs))
        apart[np.isnan(ours) != np.isnan(theirs)] = np.inf
        apart = apart[~(np.isnan(ours) & np.isnan(theirs))]
        found[metric] = float(apart.max(initial=0)), float(np.median(apart))
    return found


def numbers(found: dict[str, tuple[float, float]], which: int) -> dict[str, float | None]:
    """The largest (0) or the median (1) of each metric for JSON, which knows no infinity."""
    return {m: both[which] if np.isfinite(both[which]) else None for m, both in found.items()}


def report(facts: dict[str, dict], long: dict[str, dict], apart: dict, options) -> None:
    """Print the tables, as Markdown."""
    base = facts["museval"]["seconds"]
    on_device = any(fact["device_mib"] for fact in facts.values())
    columns = ["", "s", "museval / it", "CPU s", "first s", "peak MiB", "before scoring, MiB"]
    columns += ["device MiB"] * on_device
    print(f"\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for name, fact in facts.items():
        took = fact["seconds"]
        cells = [f"{took:.3g}", f"{base / took:.1f}", f"{fact['cpu_seconds']:.3g}"]
        cells += [f"{fact['first']:.3g}", f"{fact['peak_mib']:.0f}", f"{fact['before_mib']:.0f}"]
        cells += [f"{fact['device_mib']:.0f}"] * on_device
        print(f"| {name} | {' | '.join(cells)} |")
    for name, fact in long.items():
        cells = [f"{fact['seconds']:.3g}", "-", f"{fact['cpu_seconds']:.3g}", "-"]
        cells += [f"{fact['peak_mib']:.0f}", "-", *[f"{fact['device_mib']:.0f}"] * on_device]
        print(f"| {name}, {options.long_seconds:g} s, once | {' | '.join(cells)} |")
    print("\nmuseval has no SDR alone: that row is compared with all of its v4.", end=" ")
    if "museval" not in long:
        print("museval was not run on the long track (--museval-long).", end=" ")
    print(f"\n\n| largest (median) difference, dB | {' | '.join(METRICS)} |")
    print(f"|{'---|' * (1 + len(METRICS))}")
    for name, found in apart.items():
        cells = [f"{most:.1e} ({middle:.1e})" for most, middle in found.values()]
        print(f"| {name} | {' | '.join(cells + ['-'] * (len(METRICS) - len(cells)))} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", choices=["cpu", "gpu"], default="cpu")
    parser.add_argument("--seconds", type=float, default=30, help="length of the song")
    parser.add_argument("--rounds", type=int, default=3, help="how often every side runs")
    parser.add_argument(
        "--long-seconds", type=float, default=600, help="of the long track; 0: none"
    )
    parser.add_argument("--museval-long", action="store_true", help="museval on it too")
    parser.add_argument("--also", nargs="+", choices=ALSO, default=[], help="further sides")
    parser.add_argument("--tmp", help="folder for temporary files, 2 GB with the long track")
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])  # the sides inherit it
    with tempfile.TemporaryDirectory(dir=options.tmp) as name:
        folder = Path(name)
        write(folder, options.seconds, options.long_seconds)
        facts = measure(folder, options)
        load = os.getloadavg()[0]
        long = {}
        if options.long_seconds:
            for where in dict.fromkeys(("cpu", options.device)):
                long[f"ours, {where}"] = once(folder, "long", where)
            if options.museval_long:
                long["museval"] = once(folder, "museval-long", "cpu")
    finish(facts, long, load, options)


def finish(facts: dict[str, dict], long: dict[str, dict], load: float, options) -> None:
    """Print everything; exit with 1 where the scores are too far from museval's."""
    scores = {name: fact["scores"] for name, fact in facts.items()}
    apart = {n: differences(x, scores["museval"]) for n, x in scores.items() if n != "museval"}
    frames = scores["museval"][0, 0]
    own = f"ours, {options.device}, "
    versions = {
        "museval": facts["museval"]["version"],
        "scipy": facts["museval"]["scipy"],
        "numpy": np.__version__,
        "jax": facts[f"{own}float64"]["version"],
        "Python": platform.python_version(),
    }
    device = facts[f"{own}float64"]["device"]
    print(f"{machine()}, load {load:.1f}, ours on {device};", end=" ")
    print(", ".join(f"{name} {value}" for name, value in versions.items()), end="; ")
    print(
        f"medians of {options.rounds} interleaved runs; {options.seconds:g} s, four stereo", end=" "
    )
    print(f"stems, {np.isnan(frames).sum()} of {frames.size} frames with a silent source")
    report(facts, long, apart, options)
    seconds = {name: fact["seconds"] for name, fact in facts.items()}
    fastest = min(took for side, took in seconds.items() if side.startswith("museval"))
    result = {
        "bench": "evaluate",
        "ratio": round(seconds["museval"] / seconds[f"{own}float64"], 2),
        "ratio_sdr": round(seconds["museval"] / seconds[f"{own}sdr"], 1),
        "ratio_fastest": round(fastest / seconds[f"{own}float64"], 2),
        "ratio_float32": round(seconds["museval"] / seconds[f"{own}float32"], 2),
        "difference": {side: numbers(found, 0) for side, found in apart.items()},
        "median_difference": {side: numbers(found, 1) for side, found in apart.items()},
        "seconds": {side: round(value, 4) for side, value in seconds.items()},
        "first_seconds": {side: round(fact["first"], 2) for side, fact in facts.items()},
        "peak_mib": {side: round(fact["peak_mib"]) for side, fact in facts.items()},
        "long": {
            side: {"seconds": round(f["seconds"], 2), "peak_mib": round(f["peak_mib"])}
            for side, f in long.items()
        },
        "versions": versions,
        "machine": machine(),
        "device": device,
        "load": round(load, 2),
    }
    print(json.dumps(result, allow_nan=False))
    wrong = [
        f"{side}: {metric} by {found[metric][0]:.1e} dB, allowed {limit:g}"
        for side, found in apart.items()
        for metric, limit in LIMITS.items()
        if "float32" not in side and metric in found and not found[metric][0] <= limit
    ]
    if wrong:
        raise SystemExit("differs from museval; " + "; ".join(wrong))


if __name__ == "__main__":
    main()
