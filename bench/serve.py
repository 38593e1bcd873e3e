"""Measure `xumx serve`: memory over many requests, clients at once, short songs behind long ones.

    make bench-serve       ARGS=--quick tries it out

The server runs with the bundled model, as a process of its own; tracks are made here, and sent by
`xumx_jax.client`, so uploads, downloads and waiting count.

memory_ratio  200 short clips one after the other: the server's mean resident memory after the last
              20 over that after the first 20. At most 1.05.
ratio         8 songs of 30 s, one after the other over 8 clients at once: uploads, decoding and
              encoding overlap with computing. At least 1.15.
wait_seconds  how much longer a clip of 20 s takes behind a song of 30 min than alone. At most 10.

The last line is JSON with the three, and exits with 1 if one is beyond its bound (not with
`--quick`, which measures too little for that).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import mean, median

import numpy as np
import soundfile
from long import write_sparse
from worker import machine

from xumx_jax.client import Client

RATE = 44_100
BOUNDS = {"memory_ratio": (None, 1.05), "ratio": (1.15, None), "wait_seconds": (None, 10.0)}
ROOT = Path(__file__).parents[1]


def write_song(path: Path, seconds: float, seed: int) -> Path:
    """Write notes over noise, 16 bits stereo."""
    draw, time = np.random.default_rng(seed), np.arange(int(seconds * RATE)) / RATE
    tones = sum(np.sin(2 * np.pi * pitch * time) for pitch in draw.uniform(60, 3000, 5)) / 20
    wave = tones[:, None] + 0.1 * draw.standard_normal((len(time), 2))
    soundfile.write(path, wave, RATE, "PCM_16")
    return path


@contextmanager
def serving(folder: Path):
    """Start a server that is ready -> (its process number, a client)."""
    limits = ("--max-queue", "1000", "--max-per-client", "1000", "--min-free-mb", "0")
    command = [sys.executable, "-m", "xumx_jax", "serve", "--port", "0", "--model", "demo"]
    command += ["--data", str(folder / "data"), *limits]
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            if not line.startswith("listening on "):
                raise SystemExit(f"the server did not start: {line!r}")
            yield process.pid, Client(line.split()[-1])
        finally:
            process.terminate()


def resident_mib(number: int) -> float:
    """A process' resident memory."""
    lines = Path(f"/proc/{number}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def timed(client, song: Path, folder: Path) -> float:
    """Separate a song on the server -> seconds."""
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=folder) as out:
        client.separate(song, out)
    return time.perf_counter() - begin


def measure_memory(number, client, folder, requests, few) -> dict:
    """Send clips of a few lengths again and again."""
    clips = [write_song(folder / f"clip-{at}.wav", 2 + at / 2, at) for at in range(4)]
    sizes = []
    for at in range(requests):
        timed(client, clips[at % len(clips)], folder)
        sizes.append(resident_mib(number))
        if at % 20 == 19:
            print(f"  {at + 1} requests: {sizes[-1]:.0f} MiB", flush=True)
    first, last = mean(sizes[:few]), mean(sizes[-few:])
    return {"memory_ratio": last / first, "first_mib": first, "last_mib": last}


def measure_clients(client, folder, songs, seconds, rounds) -> dict:
    """Send songs one after the other, then all at once, some times in turn."""
    paths = [write_song(folder / f"song-{at}.wav", seconds, 100 + at) for at in range(songs)]
    timed(client, paths[0], folder)
    alone, together = [], []
    for _ in range(rounds):
        alone.append(sum(timed(client, path, folder) for path in paths))
        threads = [threading.Thread(target=timed, args=(client, path, folder)) for path in paths]
        begin = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        together.append(time.perf_counter() - begin)
        print(f"  in turn {alone[-1]:.1f} s, at once {together[-1]:.1f} s", flush=True)
    ratio = median(alone) / median(together)
    return {"ratio": ratio, "in_turn_seconds": median(alone), "at_once_seconds": median(together)}


def measure_wait(client, folder, minutes) -> dict:
    """Send a short clip alone, and behind a long song that has begun."""
    clip = write_song(folder / "short.wav", 20, 7)
    alone = median(timed(client, clip, folder) for _ in range(3))
    song = folder / "long.wav"
    write_sparse(song, 60 * minutes)
    job = client.send(song)
    try:
        while client.job(job["id"])["state"] == "queued":
            time.sleep(0.1)
        time.sleep(1.0)  # it computes
        behind = timed(client, clip, folder)
        if (state := client.job(job["id"])["state"]) != "running":
            raise SystemExit(f"the long song was {state} before the clip; it has to be longer")
    finally:
        client.remove(job["id"])
    return {"wait_seconds": behind - alone, "alone_seconds": alone, "behind_seconds": behind}


def main() -> int:
    """Measure all, print it, and compare with the bounds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a minute, to try it out")
    quick = parser.parse_args().quick
    found, load = {}, os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="xumx-bench-") as name, serving(Path(name)) as server:
        folder, (number, client) = Path(name), server
        timed(client, write_song(folder / "first.wav", 3, 1), folder)  # the model is loaded
        for what, measured in (
            (
                "memory",
                lambda: measure_memory(number, client, folder, *((12, 3) if quick else (200, 20))),
            ),
            (
                "clients",
                lambda: measure_clients(client, folder, *((4, 3, 1) if quick else (8, 30, 3))),
            ),
            ("turns", lambda: measure_wait(client, folder, 11 if quick else 30)),
        ):
            print(what, flush=True)
            found |= measured()
    found = {name: round(value, 3) for name, value in found.items()}
    beyond = [
        name
        for name, (least, most) in BOUNDS.items()
        if (least is not None and found[name] < least) or (most is not None and found[name] > most)
    ]
    about = {"bench": "serve", "quick": quick, "machine": machine(), "load": round(load, 2)}
    print(json.dumps({**about, **found, "beyond": beyond}))
    return 1 if beyond and not quick else 0


if __name__ == "__main__":
    sys.exit(main())
