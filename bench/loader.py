"""Time the training input against Open-Unmix's: batches of 16 x 4 stems x 6 s from 16-bit WAV.

    make bench-loader          ARGS="--rounds 9"

All sides read the same generated folder from memory (the first turn of each is not counted), have
separate processes and take turns; `loader_side.py` says what each does. CPU seconds are those of a
side's process and its workers; batches per CPU second are what "per core" means here. Open-Unmix
runs with 0 to 4 workers; wall ratios are against the fastest, ratios per core against the one that
took least. For every excerpt it starts ffprobe and ffmpeg; `stand-in` does not: functions in the
process return the same bytes, which makes it about forty times as fast. If ffmpeg is installed, the
original also runs once. Fails unless 16 of our batches equal, sample by sample, what the recipe
makes of the files as read by soundfile.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import soundfile
from loader_side import BATCH, RATE, SAMPLES, SEED, SOURCES, open_tracks
from worker import Worker

from separate import machine

HERE = Path(__file__).parent
# Idle threads that spin would steal from the side whose turn it is.
QUIET = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "JAX_PLATFORMS": "cpu",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "PYTHONWARNINGS": "ignore",
}
WORKERS = range(5)


def write_songs(root: Path, tracks: int) -> None:
    """Write TRACKS songs of 1 to 3 minutes of noise, four stems and a mixture each."""
    draw = np.random.default_rng(SEED)
    for track in range(tracks):
        folder = root / "train" / f"song {track:02d}"
        folder.mkdir(parents=True)
        samples = int(RATE * draw.uniform(60, 180))
        for name in (*SOURCES, "mixture"):
            noise = draw.integers(-8000, 8000, (samples, 2), np.int16)
            soundfile.write(folder / f"{name}.wav", noise, RATE, subtype="PCM_16")


def measure(root: Path, rounds: int, batches: int) -> dict[str, dict[str, float]]:
    """Run all sides in turn; {side: {seconds, cpu_seconds, peak_mib}} a batch, medians."""
    sides = {f"stand-in, {n} workers": ("stand-in", batches, n) for n in WORKERS}
    sides |= {name: (name, batches) for name in ("soundfile", "read-alone")}
    # A turn about as long as the others': its first batches find no memory to use again.
    sides |= {name: (name, 8 * batches) for name in ("tf", "threads", "tf-fresh", "tf-packed")}
    with ExitStack() as stack:
        workers = {}
        for name, (side, count, *more) in sides.items():
            command = [sys.executable, HERE / "loader_side.py", side, root, count, *more]
            workers[name] = stack.enter_context(Worker(*command, env=QUIET))
        for worker in workers.values():
            worker.ask("run")
        turns = {name: [] for name in workers}
        for _ in range(rounds):
            for name, worker in workers.items():
                turns[name].append(worker.ask("run"))
    return {
        name: {
            "seconds": statistics.median(turn["seconds"] for turn in found) / sides[name][1],
            "cpu_seconds": statistics.median(turn["cpu_seconds"] for turn in found)
            / sides[name][1],
            "peak_mib": found[-1]["peak_mib"],
        }
        for name, found in turns.items()
    }


def measure_as_it_is(root: Path) -> dict[str, dict[str, float]]:
    """One batch of Open-Unmix's loader with the ffmpeg that it starts for every excerpt."""
    found = {}
    for workers in (0, os.cpu_count() or 1):
        command = [sys.executable, HERE / "loader_side.py", "openunmix", root, 1, workers]
        with Worker(*command, env=QUIET) as worker:
            found[f"openunmix, {workers} workers"] = worker.ask("run")
    return found


def compare(root: Path, batches: int = 16) -> int:
    """Compare both engines' batches with the recipe -> how many samples were equal."""
    import jax

    from pipelines.loader import Loader
    from pipelines.mixing.plan import draw
    from pipelines.mixing.recipe import Recipe
    from xumx_jax.training.batches import render

    tracks, unpack, equal = open_tracks(root), jax.jit(render), 0
    counts = [len(tracks.names)] * len(SOURCES)
    for engine in ("tf", "threads"):
        last = batches * BATCH
        with Loader(tracks, Recipe(), SEED, BATCH, SAMPLES, last=last, engine=engine) as loader:
            for number, examples in enumerate(loader):
                rendered = np.asarray(unpack(examples))
                for row in range(BATCH):
                    plan = draw(Recipe(), SEED, number * BATCH + row, counts)
                    for source, name in enumerate(SOURCES):
                        path = root / "train" / tracks.names[plan.track[source]] / f"{name}.wav"
                        with soundfile.SoundFile(path) as file:
                            file.seek(int(plan.start[source] * (file.frames - SAMPLES + 1)))
                            wave = file.read(SAMPLES, dtype="float32").T
                        wave = wave[:: -1 if plan.swap[source] else 1]
                        wanted = wave * np.float32(plan.gain[source])
                        if not np.array_equal(rendered[row, source], wanted):
                            raise SystemExit(f"{engine}: batch {number}, row {row}, {name} differs")
                        equal += wanted.size
    return equal


def report(facts: dict[str, dict[str, float]]) -> None:
    """Print the table, as Markdown."""
    print("\n| | ms a batch | CPU ms a batch | batches / CPU s | peak MiB |")
    print("|---|---|---|---|---|")
    for name, fact in facts.items():
        spent = fact["cpu_seconds"]
        print(
            f"| {name} | {1e3 * fact['seconds']:.0f} | {1e3 * spent:.0f}"
            f" | {1 / spent:.1f} | {fact['peak_mib']:.0f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often every side runs")
    parser.add_argument("--batches", type=int, default=8, help="how many a turn")
    parser.add_argument("--tracks", type=int, default=12, help="how many songs there are")
    options = parser.parse_args()
    os.environ.update(QUIET)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        write_songs(root, options.tracks)
        facts = measure(root, options.rounds, options.batches)
        load = os.getloadavg()[0]
        if shutil.which("ffmpeg") and shutil.which("ffprobe"):
            facts |= measure_as_it_is(root)
        equal = compare(root)
    print(f"16 batches of each engine equal what the recipe says: {equal} samples compared")
    print(f"{machine()}, load {load:.1f}; Python {platform.python_version()}; medians of", end=" ")
    print(f"{options.rounds} interleaved turns of {options.batches} batches")
    report(facts)
    print(json.dumps({"bench": "loader", **ratios(facts), "load": round(load, 2)}))


def ratios(facts: dict[str, dict[str, float]]) -> dict[str, float]:
    """How many times more batches a core makes with ours, unpacked; the same of wall time."""
    theirs = [facts[f"stand-in, {n} workers"] for n in WORKERS]
    found = {}
    for key, suffix in (("cpu_seconds", ""), ("seconds", "_wall")):
        ours = facts["tf"][key]
        found[f"ratio{suffix}"] = min(fact[key] for fact in theirs) / ours
        found[f"ratio_soundfile{suffix}"] = facts["soundfile"][key] / ours
    ours = facts["tf-packed"]["cpu_seconds"]
    found["ratio_read_alone"] = facts["read-alone"]["cpu_seconds"] / ours
    found["render_cpu_ms"] = 1e3 * (facts["tf"]["cpu_seconds"] - ours)
    found["render_fresh_cpu_ms"] = 1e3 * (facts["tf-fresh"]["cpu_seconds"] - ours)
    real = [fact["cpu_seconds"] for name, fact in facts.items() if name.startswith("openunmix")]
    if real:
        found["ratio_with_ffmpeg"] = min(real) / facts["tf"]["cpu_seconds"]
    return {name: round(value, 2) for name, value in found.items()}


if __name__ == "__main__":
    main()
