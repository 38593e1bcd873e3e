"""Measure catalogues on a Ray cluster of two machines in one, beside a plain loop.

    make bench-cluster     ARGS=--quick tries it out

40 files of 5 s, the bundled model. The two "machines" have a core each and share this one's; the
plain loop has both. Everything is started as its user would. Then the arithmetic of
`simulate_scale.py` is asked how often the cluster completes a file, given what one worker with a
core takes for files of 2 s and of 20 s.

per_file_seconds       from one file to the next, of the plain loop ("loop") and of the cluster
                       ("cluster"), after the first quarter
idle_seconds           for each of its files, how long a worker was not busy with one: the way of
                       the path there and of the row back
start_seconds          until the first file is done; on the cluster, processes and models
recovery_seconds       after a machine is killed, until what it had begun is done by the other: Ray
                       has to notice, with its own settings
killed_extra_seconds   how much longer the run with a killed machine takes, which is not replaced
worker_mib             the most memory that a worker held
worker                 what one with a core separates in a second, and takes for each file beside
host                   CPU seconds for a minute of music: MP3 decoded, one stem encoded as FLAC
arithmetic             what it says of the cluster's seconds per file, what was measured, its error

Times are those of the records beside the stems, which are written last.

The last lines are a table for RESULTS.md and JSON with all of it. Status 1: files are missing.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from scale_arithmetic import line_through, worker_seconds
from serve import write_song
from worker import machine

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests"))

from ray_cluster import start  # noqa: E402

from xumx_jax import audio  # noqa: E402
from xumx_jax.audio.encode import StemWriter  # noqa: E402

LIMIT_SECONDS, RECORD = 300, ".separation.json"
SECONDS, LENGTHS = 5, (2, 20)  # of the files, and of those that one worker is given


def command(music: Path, out: Path, *more: str) -> list[str]:
    """What a user would type."""
    program = [sys.executable, str(ROOT / "separate.py"), "--model", "demo"]
    return [*program, "--manifest", str(music), "--out", str(out), *more]


def loop(music: Path, out: Path, core: int | None = None) -> dict:
    """The plain loop, perhaps on one core alone -> when it began, and its seconds."""
    begin, own = time.time(), {} if core is None else {"NPROC": "1"}
    subprocess.run(
        command(music, out), stdout=subprocess.DEVNULL, timeout=LIMIT_SECONDS,
        env={**os.environ, **own},
        preexec_fn=None if core is None else lambda: os.sched_setaffinity(0, {core}),
    )  # fmt: skip
    return {"began": begin, "seconds": time.time() - begin, "out": out}


def worker(folder: Path, count: int) -> dict[str, float]:
    """What one worker with a core does: seconds of music in a second, and seconds a file beside.

    It separates `count` files of each of LENGTHS. The first of a length, for which code is
    compiled, does not count.
    """
    music = folder / "lengths"
    music.mkdir()
    for number in range(len(LENGTHS) * count):
        write_song(music / f"{number:02d}.wav", LENGTHS[number // count], number)
    rows = done(loop(music, folder / "alone", min(os.sched_getaffinity(0))))
    ends = {number: at for at, _, number in rows}
    points = [
        (length, median(ends[n] - ends[n - 1] for n in range(k * count + 1, (k + 1) * count)))
        for k, length in enumerate(LENGTHS)
    ]
    beside, slope = line_through(points)
    return {"speed": 1 / slope, "overhead_seconds": beside}


def host(folder: Path) -> dict[str, float]:
    """CPU seconds for a minute of music on the way in, and for one of its stems on the way out."""
    wave, rate = audio.decode(write_song(folder / "minute.wav", 60, 0))

    def written(names: str, form: str, **more) -> float:
        paths, begin = {name: folder / f"{name}.{form}" for name in names}, time.process_time()
        with StemWriter(paths, rate, 2, form, **more) as writer:
            for first in range(0, wave.shape[1], rate):
                writer.write({name: wave[:, first : first + rate] for name in names})
        return time.process_time() - begin

    def decoded() -> float:
        begin = time.process_time()
        audio.decode(folder / "m.mp3")
        return time.process_time() - begin

    written("m", "mp3", bitrate=320)
    encode = median(written("abcd", "flac") / 4 for _ in range(3))
    return {"decode_seconds": median(decoded() for _ in range(3)), "encode_seconds": encode}


def arithmetic(alone: dict[str, float], measured: float, workers: int) -> dict[str, float]:
    """Seconds from one file to the next of a cluster: predicted from one worker, measured."""
    found = worker_seconds(1, SECONDS, alone["speed"], alone["overhead_seconds"]) / workers
    return {"predicted": found, "measured": measured, "error": found / measured - 1}


def cluster(folder: Path, music: Path, out: Path, kills: list) -> dict:
    """The same on two machines -> the result of `ray_cluster.run`."""
    words = command(music, out, "--runner", "ray", "--address", "{address}")
    plan = {"command": words, "machines": 2, "out": str(out), "runs": [kills], "config": {}}
    (folder / "plan.json").write_text(json.dumps(plan))
    (found,) = start(folder / "plan.json", LIMIT_SECONDS)["runs"]
    return {**found, "out": out}


def done(found: dict) -> list[tuple[float, float, int]]:
    """(seconds after the start, seconds that it took, number) of each file, in order of time."""
    rows = []
    for path in found["out"].rglob(RECORD):
        told = json.loads((path.parent / "separation-report.json").read_text())
        rows.append(
            (path.stat().st_mtime - found["began"], told["took_seconds"], int(told["name"]))
        )
    return sorted(rows)


def per_file(found: dict) -> float:
    """Seconds from one file to the next, after the first quarter, in which workers start."""
    rows = done(found)
    rows = rows[len(rows) // 4 :]
    return (rows[-1][0] - rows[0][0]) / (len(rows) - 1)


def idle(found: dict, workers: int) -> float:
    """Seconds a file in which a worker had none, after the first quarter."""
    rows = done(found)
    took = [took for _, took, _ in rows[len(rows) // 4 + 1 :]]
    return per_file(found) * workers - sum(took) / len(took)


def recovery(found: dict) -> float:
    """Seconds from a kill until the files that had been sent by then are done.

    Files are sent in the order of their names, and each of two workers has two at most.
    """
    (killed,) = found["killed"]
    rows = done(found)
    sent = sorted((str(number) for _, _, number in rows))[: killed["done"] + 4]
    return max(at for at, _, number in rows if str(number) in sent) - killed["after"]


def measure(folder: Path, files: int) -> tuple[dict, list[str]]:
    """Measure all -> (figures, what is missing)."""
    music = folder / "music"
    music.mkdir()
    for number in range(files):
        write_song(music / f"{number}.wav", SECONDS, number)
    print("one worker", flush=True)
    alone = worker(folder, 3 if files < 40 else 8)
    print("loop", flush=True)
    plain = loop(music, folder / "loop")
    print("cluster", flush=True)
    usual = cluster(folder, music, folder / "usual", [])
    print("cluster with a machine killed", flush=True)
    killed = cluster(folder, music, folder / "killed", [[files // 4, "machine"]])
    found = {
        "per_file_seconds": {"loop": per_file(plain), "cluster": per_file(usual)},
        "idle_seconds": {"loop": idle(plain, 1), "cluster": idle(usual, 2)},
        "start_seconds": {"loop": done(plain)[0][0], "cluster": done(usual)[0][0]},
        "recovery_seconds": recovery(killed),
        "killed_extra_seconds": killed["seconds"] - usual["seconds"],
        "worker_mib": max(usual["peaks_mib"]),
        "worker": alone,
        "host": host(folder),
        "arithmetic": arithmetic(alone, per_file(usual), 2),
    }
    missing = [
        f"{name}/{number}"
        for name in ("loop", "usual", "killed")
        for number in range(files)
        if not (folder / name / str(number) / RECORD).is_file()
    ]
    return found, missing


def table(found: dict) -> str:
    """The rows for RESULTS.md."""
    per_file, idle, start = (found[f"{n}_seconds"] for n in ("per_file", "idle", "start"))
    alone, check = found["worker"], found["arithmetic"]
    rows = [
        (
            "from one file to the next, after the first quarter",
            *(f"{per_file[of]:.2f} s" for of in ("loop", "cluster")),
        ),
        (
            "of which a worker is not busy with a file",
            *(f"{1000 * idle[of]:.0f} ms" for of in ("loop", "cluster")),
        ),
        ("until the first file is done", *(f"{start[of]:.1f} s" for of in ("loop", "cluster"))),
        (
            "until what a killed machine had begun is done by the other",
            "", f"{found['recovery_seconds']:.1f} s",
        ),
        ("longer in all with a killed machine", "", f"{found['killed_extra_seconds']:.1f} s"),
        ("most memory of a worker", "", f"{found['worker_mib']:.0f} MiB"),
        ("one worker with a core: music in a second", f"{alone['speed']:.1f} s", ""),
        ("beside its music, each file", f"{alone['overhead_seconds']:.3f} s", ""),
        ("CPU, a minute of MP3 decoded", f"{found['host']['decode_seconds']:.3f} s", ""),
        ("CPU, a minute of one stem as FLAC", f"{found['host']['encode_seconds']:.3f} s", ""),
        (
            "from one file to the next, by arithmetic from what one worker does",
            "", f"{check['predicted']:.2f} s, error {100 * check['error']:+.0f} %",
        ),
    ]  # fmt: skip
    lines = ["".join(f"| {cell} " if cell else "| " for cell in cells) + "|" for cells in rows]
    return "\n".join(["| | plain loop | two machines |", "|---|--:|--:|", *lines])


def rounded(value):
    """The same with three digits behind the point."""
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    return round(value, 3)


def main() -> int:
    """Measure, print it, and say what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two minutes, to try it out")
    quick, load = parser.parse_args().quick, os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="xumx-bench-") as name:
        found, missing = measure(Path(name), 12 if quick else 40)
    print(table(found))
    about = {"bench": "cluster", "quick": quick, "machine": machine(), "load": round(load, 2)}
    print(json.dumps({**about, **rounded(found), "missing": missing}))
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
