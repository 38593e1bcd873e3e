"""A process that holds one side of a benchmark and runs one command at a time.

Each side has a separate process, so that its memory is separate too, and all stay alive, so that
their runs interleave and a change in the machine's speed affects all of them.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

# Idle threads that spin would steal from the side whose turn it is.
QUIET = {"OMP_WAIT_POLICY": "PASSIVE"}
# glibc keeps what is freed, in one heap, instead of asking the system for every buffer anew.
KEPT = {
    **QUIET,
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TRIM_THRESHOLD_": str(2**40),
    "MALLOC_MMAP_THRESHOLD_": str(2**40),
}


def serve(
    task: Callable[[], Any],
    clock: Callable[[], float] = time.process_time,
    device_mib: Callable[[], float] = lambda: 0.0,
    saved: Callable[[Any], np.ndarray] = np.asarray,
    **facts,
) -> None:
    """Answer commands on stdin until it ends, one line of JSON each, beginning with `facts`.

    "run" does the task and answers the seconds, and those of all its threads' work (`clock` reads
    them); "save PATH" writes its last result, of which `saved` makes an array. Every answer has the
    process's peak memory in MiB, and that on the device as `device_mib` tells it.
    """
    # What libraries print must not mix with the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def answer(**values):
        values |= {"peak_mib": peak_mib(), "device_mib": device_mib()}
        print(json.dumps(values), file=answers, flush=True)

    answer(**facts)
    result = None
    for line in sys.stdin:
        command, _, path = line.strip().partition(" ")
        if command == "save":
            np.save(path, saved(result))
            answer()
            continue
        result = None  # a user keeps one result, not two
        begin, worked = time.perf_counter(), clock()
        result = task()
        worked = clock() - worked
        answer(seconds=time.perf_counter() - begin, cpu_seconds=worked)


def peak_mib() -> float:
    """The most memory that this process ever held, in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("/proc/self/status has no VmHWM: this benchmark needs Linux")


class Worker:
    """A running `serve` of another script, from outside; a context manager."""

    def __init__(self, *command, env: dict[str, str] | None = None):
        self._process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **(env or {})},
        )
        self.facts = self._answer()

    def ask(self, command: str) -> dict:
        """Send a command and wait for its answer."""
        print(command, file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict:
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            raise SystemExit(f"{self._process.args[1]} ended with status {status}")
        return json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._process.stdin.close()
        self._process.wait()


def take_turns(workers: dict[str, Worker], rounds: int, in_row: int = 1) -> dict[str, dict]:
    """Let each run once, uncounted, then all in turn so many times; {name: facts}.

    A turn is `in_row` runs, of which the last counts: systems take memory from processes that wait,
    and what works all the time, step after step or chunk after chunk, has it back after one.

    Facts gain "first" (seconds), "runs", and the medians "seconds" and "cpu_seconds".
    """
    facts = {name: dict(worker.facts) for name, worker in workers.items()}
    for name, worker in workers.items():
        facts[name] |= {"first": worker.ask("run")["seconds"], "runs": []}
    for _ in range(rounds):
        for name, worker in workers.items():
            runs = [worker.ask("run") for _ in range(in_row)]
            facts[name]["runs"].append(runs[-1])
    for fact in facts.values():
        for key in ("seconds", "cpu_seconds"):
            fact[key] = statistics.median(run[key] for run in fact["runs"])
    return facts


def environment() -> dict[str, str]:
    return {**os.environ, **QUIET}


def machine() -> str:
    """The processor's name and how many cores this process may use."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(os.sched_getaffinity(0))} x {(named or [platform.machine()])[0]}"
