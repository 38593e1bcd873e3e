"""Measure catalogues on a Ray cluster of two machines in one, beside a plain loop.

    make bench-cluster     ARGS=--quick tries it out

40 files of 5 s, the bundled model. The two "machines" have a core each and share this one's; the
plain loop has both. Everything is started as its user would.

per_file_seconds       from one file to the next, of the plain loop ("loop") and of the cluster
                       ("cluster"), after the first quarter
idle_seconds           for each of its files, how long a worker was not busy with one: the way of
                       the path there and of the row back
start_seconds          until the first file is done; on the cluster, processes and models
recovery_seconds       after a machine is killed, until what it had begun is done by the other: Ray
                       has to notice, with its own settings
killed_extra_seconds   how much longer the run with a killed machine takes, which is not replaced
worker_mib             the most memory that a worker held

Times are those of the records beside the stems, which are written last.

The last line is JSON with all of it. Status 1: files are missing.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from serve import write_song
from worker import machine

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests"))

from ray_cluster import start  # noqa: E402

LIMIT_SECONDS, RECORD = 300, ".separation.json"


def command(music: Path, out: Path, *more: str) -> list[str]:
    """What a user would type."""
    program = [sys.executable, str(ROOT / "separate.py"), "--model", "demo"]
    return [*program, "--manifest", str(music), "--out", str(out), *more]


def loop(music: Path, out: Path) -> dict:
    """The plain loop -> when it began, and its seconds."""
    begin = time.time()
    subprocess.run(command(music, out), stdout=subprocess.DEVNULL, timeout=LIMIT_SECONDS)
    return {"began": begin, "seconds": time.time() - begin, "out": out}


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
        write_song(music / f"{number}.wav", 5, number)
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
    }
    missing = [
        f"{name}/{number}"
        for name in ("loop", "usual", "killed")
        for number in range(files)
        if not (folder / name / str(number) / RECORD).is_file()
    ]
    return found, missing


def rounded(value):
    """The same with three digits behind the point."""
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    return round(value, 3)


def main() -> int:
    """Measure, print it, and say what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a minute and a half, to try it out")
    quick, load = parser.parse_args().quick, os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="xumx-bench-") as name:
        found, missing = measure(Path(name), 12 if quick else 40)
    about = {"bench": "cluster", "quick": quick, "machine": machine(), "load": round(load, 2)}
    print(json.dumps({**about, **rounded(found), "missing": missing}))
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
