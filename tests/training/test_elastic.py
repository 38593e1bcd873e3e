"""When one of several processes is lost, the others end, and those that are left go on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
import runs
from hosts import start

from xumx_jax.training import distributed, launch, step
from xumx_jax.training.monitor.logs import read_metrics
from xumx_jax.weights import store

pytestmark = pytest.mark.usefixtures("quick_compile", "own_cache")
LIMIT = 150  # seconds in which each of these runs ends, whatever happens


def output_of(child) -> str:
    """What processes printed; killed, all of them, if they take too long."""
    with child:
        try:
            return child.communicate(timeout=LIMIT)[0]
        finally:
            if child.poll() is None:
                started = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
                for number in (child.pid, *map(int, started)):
                    os.kill(number, signal.SIGKILL)


def by_step(workdir) -> dict[int, list[float]]:
    """Losses and gradients of each step as it was last taken."""
    keys = ("loss", "gradient_norm")
    records = [r for r in read_metrics(workdir / "metrics.jsonl") if "gradient_norm" in r]
    return {record["step"]: [record[key] for key in keys] for record in records}


@pytest.mark.slow
def test_killed_in_an_epoch_it_goes_on_with_one_process_along_the_same_curve(tmp_path, monkeypatch):
    """2 processes x 2 devices, then 1 x 2, of which each computes its two examples one by one."""
    child = start(tmp_path / "run", "lost in a step", options=["--restarts", "1"])
    output = output_of(child)
    assert child.returncode == 0, output
    assert "launch: 1 lost, 1 left; starting again with 1" in output
    assert "resuming after step 6" in output and "ended 0 2 None" in output, output

    one = step.mesh(jax.devices()[:1])
    monkeypatch.setattr(step, "mesh", lambda: one)
    config = runs.without_batch_norm()
    config.train.micro_batch = None
    runs.run(config, tmp_path / "whole", runs.data(), runs.quiet)
    ours, wanted = by_step(tmp_path / "run"), by_step(tmp_path / "whole")
    assert sorted(ours) == sorted(wanted) == list(range(1, 13))
    for number, values in wanted.items():
        np.testing.assert_allclose(ours[number], values, rtol=1e-4, err_msg=f"step {number}")


@pytest.mark.slow
def test_killed_while_it_saves_it_goes_on_from_the_save_before(tmp_path):
    """The first process, which writes, and to which the others listen."""
    options = ["--restarts", "1"]
    child = start(tmp_path / "run", "lost in a save", devices=1, options=options)
    output = output_of(child)
    assert child.returncode == 0 and "resuming after step 2" in output, output
    assert "ended 0 1 None" in output
    assert store.newest(tmp_path / "run").name == "00000012"
    assert not list((tmp_path / "run" / store.STEPS).glob(".*")), "a leftover of the kill"


BEGIN = "import os, signal, sys, time; own = os.environ['JAX_LOCAL_DEVICE_IDS']; "
BEGIN += "count = os.environ['JAX_NUM_PROCESSES']; "
KILLED = "os.kill(os.getpid(), signal.SIGKILL)"


def launched(tmp_path, monkeypatch, body: str, processes: int, restarts: int) -> tuple[int, list]:
    """The status of processes that run `body`, and (devices, processes) of each that began."""
    script, log = tmp_path / "script.py", tmp_path / "log"
    begin = f"{BEGIN}print(own, count, file=open({str(log)!r}, 'a'), flush=True)\n"
    script.write_text(begin + body)
    monkeypatch.setattr(launch, "GRACE_SECONDS", 0.5)
    monkeypatch.setattr(launch, "TOGETHER_SECONDS", 0.4)
    for name in launch.DEVICES:
        monkeypatch.delenv(name, raising=False)
    options = ["--processes", str(processes), "--restarts", str(restarts), str(script)]
    status = launch.main(options)
    return status, sorted(tuple(line.split()) for line in log.read_text().splitlines())


def test_what_is_left_over_is_there_for_the_next_loss(tmp_path, monkeypatch, capfd):
    """Of four, 2 is lost, and then 1: two of the three that were left did, and 3 was the spare."""
    body = f"if (own, count) in (('2', '4'), ('1', '2')): {KILLED}\n"
    body += "time.sleep(0 if own == '3' and count == '2' or (own, count) == ('0', '2') else 9)"
    status, began = launched(tmp_path, monkeypatch, body, 4, 5)
    assert status == 0
    twos = [own for own, count in began if count == "2"]
    assert [count for _, count in began].count("4") == 4 and sorted(twos) == ["0", "0", "1", "3"]
    said = capfd.readouterr().err
    share = ", each with 2 times its share of the batch\n"
    assert f"1 lost, 3 left; starting again with 2{share}" in said
    assert f"1 lost, 2 left; starting again with 2{share}" in said


def test_one_that_will_not_end_is_killed(tmp_path, monkeypatch):
    body = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    body += f"{KILLED} if own == '1' else time.sleep(60)"
    begin = time.monotonic()
    status, _ = launched(tmp_path, monkeypatch, body, 2, 0)
    assert status == 128 + signal.SIGKILL and time.monotonic() - begin < 10


def test_restarts_are_counted_and_errors_are_none(tmp_path, monkeypatch, capfd):
    for body, status, starts in (
        ("sys.exit(2)", 2, 2),  # of a config, say: it would come again
        (f"sys.exit({launch.LOST})", launch.LOST, 4),  # stuck, both of them
        (KILLED, 128 + signal.SIGKILL, 2),  # nobody is left
    ):
        (tmp_path / "log").unlink(missing_ok=True)
        found, began = launched(tmp_path, monkeypatch, body, 2, 1)
        assert (found, len(began)) == (status, starts), body


def test_processes_are_asked_for_their_heartbeat(monkeypatch):
    given = {}
    monkeypatch.setattr(jax.distributed, "initialize", lambda *_, **more: given.update(more))
    distributed.connect(True, 17)
    assert given == {"heartbeat_timeout_seconds": 17}


@pytest.mark.slow
def test_lost_before_it_has_joined_nobody_waits_for_it(tmp_path):
    begin = time.monotonic()
    child = start(tmp_path / "run", "lost at start", devices=1)  # no restart
    output = output_of(child)
    assert child.returncode == 128 + 9, output
    assert time.monotonic() - begin < launch.GRACE_SECONDS + 30


def test_waiting_for_one_that_gets_nowhere_ends():
    """Moves keep it going, as steps do; a single process waits as long as it takes."""
    program = """
import time, jax
from xumx_jax.training.distributed import Watchdog
with Watchdog(0.2):
    time.sleep(1.5)
jax.process_count = lambda: 2
with Watchdog(0.6) as watchdog:
    for _ in range(8):
        time.sleep(0.2)
        watchdog.moved()
with Watchdog(0.6) as watchdog:
    print("now", flush=True)
    time.sleep(60)
"""
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout) == (launch.LOST, "now\n"), ran.stderr
    line = "train: error: no step for 0.6 s, another process may be stuck; start again"
    assert ran.stderr.startswith(line)
