"""Measure how much memory `separate.py` takes for long tracks and for many: it must not grow.

    make bench-long        ARGS="--minutes 3 30 180 --models demo full --ten-hours"

Tracks are made here, 16-bit stereo at 44.1 kHz: 20 s of music every five minutes and at the end,
with silence between, which takes no space on the disk. "full" is X-UMX at its published size and
"small" one with a hidden size of 16, both with random weights. `--ten-hours` separates 10 h with
the small one, from and to RF64. Each run is a separate process, whose VmHWM is printed. One more
run separates 100 short files of different lengths, to check that neither memory nor the number of
compiled functions grows after the first ten. Fails above 2 GB, if anything grows, or if stems are
not as long as the track. It needs disk space (`--folder`): 6 bytes per sample of the longest track
and channel, 19 GB for ten hours.
"""

import argparse
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from worker import QUIET, machine

HERE = Path(__file__).parent
RATE = 44_100
FRAME = 4  # bytes: two channels of 16 bits
SOUNDING, EVERY = 20, 300  # seconds of music, and from where on it sounds again
LIMIT_MIB = 2e9 / 2**20
FILES, FEW = 100, 10
GROWTH_MIB = 64  # what 90 files more may take: the allocator's unrest
SIZES = {"full": {}, "small": {"hidden_size": 16}}


def make_model(folder: Path, name: str) -> str:
    """The value for `--model`; models with random weights are made."""
    if name not in SIZES:
        return name
    path = folder / f"{name}.safetensors"
    if not path.exists():
        import jax
        import jax.numpy as jnp

        from xumx_jax.models import build
        from xumx_jax.weights.bag import save_model

        module = build("xumx", **SIZES[name])
        variables = module.init(jax.random.key(0), jnp.zeros((1, 2, module.n_fft)))
        save_model(path, "xumx", SIZES[name], jax.tree.map(np.asarray, variables))
    return str(path)


def music(seconds: float) -> np.ndarray:
    """Make int16 [time, channel]: three notes and a beat."""
    t = np.arange(int(seconds * RATE)) / RATE
    draw = np.random.default_rng(0)
    wave = sum(np.sin(2 * np.pi * pitch * t) * np.exp(-3 * (t % beat)) for pitch, beat in NOTES)
    wave = 0.1 * wave + 0.2 * np.exp(-20 * (t % 0.5)) * draw.standard_normal(t.size)
    return np.round(8000 * np.stack([wave, 0.7 * wave], axis=-1)).astype("<i2")


NOTES = ((110, 2.0), (440, 0.5), (660, 0.75))


def write_sparse(path: Path, seconds: float) -> None:
    """Write a sparse WAV file, RF64 past 4 GB, with silence between stretches of music."""
    frames = int(seconds * RATE)
    size, stretch = frames * FRAME, music(min(SOUNDING, seconds))
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 2, RATE, RATE * FRAME, FRAME, 16)
    if size < 2**32 - 100:
        head = struct.pack("<4sI4s", b"RIFF", size + 36, b"WAVE") + fmt
        head += struct.pack("<4sI", b"data", size)
    else:
        head = struct.pack("<4sI4s", b"RF64", 2**32 - 1, b"WAVE")
        head += struct.pack("<4sIQQQI", b"ds64", 28, size + 72, size, frames, 0) + fmt
        head += struct.pack("<4sI", b"data", 2**32 - 1)
    starts = [*range(0, frames - len(stretch), EVERY * RATE), frames - len(stretch)]
    with open(path, "wb") as file:
        file.truncate(len(head) + size)
        file.write(head)
        for start in starts:
            file.seek(len(head) + start * FRAME)
            file.write(stretch.tobytes())


def memory_mib(process: int, line: str) -> float:
    """VmHWM or VmRSS of a process, 0 when it has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    found = [text.split()[1] for text in status.splitlines() if text.startswith(line)]
    return int(found[0]) / 1024 if found else 0.0


def separate(*options, cache: Path, **env) -> subprocess.Popen:
    """Start `separate.py`, with stdout and stderr in one pipe."""
    return subprocess.Popen(
        [sys.executable, HERE.parent / "separate.py", *map(str, options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **QUIET, "XUMX_CACHE": str(cache), **env},
    )


def run_long(folder: Path, model: str, seconds: float, wide: bool) -> dict:
    """Separate a track of this many seconds into one stem -> {"peak_mib", "seconds"}."""
    frames = int(seconds * RATE)
    free, wanted = shutil.disk_usage(folder).free, frames * 2 * (4 if wide else 6)
    if free < wanted + 2**30:
        raise SystemExit(f"{folder}: {free / 1e9:.1f} GB is free; wanted {wanted / 1e9:.1f}")
    track, out = folder / "long.wav", folder / "out"
    write_sparse(track, seconds)
    options = ["--model", make_model(folder, model), "--stems", "vocals", "--out", out]
    begin, peak = time.perf_counter(), 0.0
    process = separate(track, *options, "--bits", "32f" if wide else "16", cache=folder / "cache")
    try:
        while process.poll() is None:
            peak = max(peak, memory_mib(process.pid, "VmHWM"))
            time.sleep(0.1)
    finally:  # of an interrupted run
        process.kill()
    took = time.perf_counter() - begin
    if process.returncode:
        raise SystemExit(f"separate.py ended with status {process.returncode}:\n" + rest(process))
    rest(process)
    check_stem(out / "long" / "vocals.wav", frames)
    shutil.rmtree(out)
    track.unlink()
    if peak > LIMIT_MIB:
        raise SystemExit(f"{model}, {seconds / 60:g} min: {peak:.0f} MiB; wanted {LIMIT_MIB:.0f}")
    return {"peak_mib": round(peak), "seconds": round(took, 1)}


def check_stem(path: Path, frames: int) -> None:
    """Exit unless the stem is that long, is not silent at its end, and has the right header."""
    with open(path, "rb") as file:
        magic = file.read(4)
    with soundfile.SoundFile(path) as file:
        if file.frames != frames:
            raise SystemExit(f"{path}: {file.frames} samples; the track has {frames}")
        file.seek(max(0, frames - 5 * RATE))
        last = file.read(dtype="float32")
    if not last.any():
        raise SystemExit(f"{path}: silent at the end, where the track sounds")
    if magic != (b"RF64" if path.stat().st_size > 2**32 else b"RIFF"):
        raise SystemExit(f"{path}: begins with {magic}")


def rest(process) -> str:
    with process.stdout as pipe:
        return pipe.read()


def run_batch(folder: Path, model: str) -> dict:
    """Separate FILES short files in one process -> memory and compilations after FEW and all."""
    files, draw = folder / "files", np.random.default_rng(1)
    files.mkdir()
    for number in range(FILES):
        name = files / f"{number:03d}.wav"
        soundfile.write(name, music(draw.uniform(0.5, 15)), RATE)
    options = ["--model", make_model(folder, model), "--out", folder / "out"]
    process = separate(files, *options, cache=folder / "batch", JAX_LOG_COMPILES="1")
    compiled, done, said, facts = 0, 0, [], {}
    for line in process.stdout:
        said.append(line)
        compiled += "Finished XLA compilation" in line
        if " separated in " in line:
            done += 1
            if done in (FEW, FILES):
                rss = round(memory_mib(process.pid, "VmRSS"))
                facts[f"rss_mib_after_{done}"] = rss
                facts[f"compiled_after_{done}"] = compiled
    if process.wait() or done != FILES:
        raise SystemExit(f"{done} of {FILES} files, status {process.returncode}\n" + "".join(said))
    shutil.rmtree(files)
    shutil.rmtree(folder / "out")
    values = list(facts.values())
    if values[3] > values[1]:
        late = [line for line in said if "Finished XLA" in line][values[1] :]
        raise SystemExit(f"{model}: compiled after {FEW} files: " + "".join(late))
    if values[2] - values[0] > GROWTH_MIB:
        raise SystemExit(f"{model}: {values[0]} MiB after {FEW} files, {values[2]} after {FILES}")
    return facts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--minutes", type=float, nargs="*", default=[3, 30, 180], help="lengths of the tracks")
    add("--models", nargs="*", default=["demo", "full"], help="demo, full, small, or a path")
    add("--ten-hours", action="store_true", help="10 h with the small model, too")
    add("--no-batch", action="store_true", help="leave out the 100 files")
    add("--folder", help="where the files go while it runs; default: the system's")
    options = parser.parse_args()
    long, batch = {}, {}
    print(f"{machine()}; load {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        runs = [(model, minutes) for model in options.models for minutes in options.minutes]
        runs += [("small", 600.0)] * options.ten_hours
        print("\n| model | length, min | peak MiB | s | x real time |\n|---|---|---|---|---|")
        for model, minutes in runs:
            wide = minutes * 60 * RATE * 8 > 2**32
            fact = run_long(folder, model, minutes * 60, wide)
            long[f"{model}, {minutes:g} min"] = fact
            speed = minutes * 60 / fact["seconds"]
            print(
                f"| {model} | {minutes:g} | {fact['peak_mib']} | {fact['seconds']} | {speed:.0f} |",
                flush=True,
            )
        if not options.no_batch:
            print(f"\n{FILES} files of 0.5 to 15 s:", flush=True)
            for model in options.models:
                batch[model] = run_batch(folder, model)
                print(f"{model}: {batch[model]}", flush=True)
    print(
        json.dumps({"bench": "long", "limit_mib": round(LIMIT_MIB), "long": long, "batch": batch})
    )


if __name__ == "__main__":
    main()
