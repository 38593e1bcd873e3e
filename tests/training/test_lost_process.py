"""A heartbeat that ends a process is one line, and JAX's report a file."""

import os
import signal
import subprocess
import sys
import time

import pytest

import train
from xumx_jax.errors import UserError
from xumx_jax.training import distributed, launch, lost_process

REPORT = b"""E1130 22:24:56.258951   30611 service.cc:1549] the following error: UNAVAILABLE
1
The tasks have crashed.
F1130 22:24:56.259957   30629 client.h:80] Terminating process because the JAX distributed service \
detected fatal errors. Status: UNAVAILABLE: tasks are unhealthy (stopped sending heartbeats):
1
3
The tasks have crashed.
*** Check failure stack trace: ***
    @     0x7f5c2fa40634  absl::SendToLog()
"""
LINE = "train: error: lost processes 1, 3, not heard of for 7 s; start again; JAX's report of it is"


def filtered(tmp_path, parts, name="folder/report.log"):
    """What comes out of a filter that is given the parts -> lines, and the report."""
    out, report = [], tmp_path / name
    own = lost_process.Filter(out.append, report, 7, "start again")
    for part in parts:
        own.feed(part)
    own.release()
    return b"".join(out).decode(), report.read_bytes() if report.is_file() else None


@pytest.mark.parametrize("size", [1, 50, 10**6])
def test_of_a_report_one_line_is_left_however_it_comes(tmp_path, size):
    parts = [REPORT[begin : begin + size] for begin in range(0, len(REPORT), size)]
    out, report = filtered(tmp_path, [b"epoch 1\n", *parts, b"    @ more\n"])
    assert out == f"epoch 1\n{LINE} in {tmp_path}/folder/report.log\n"
    assert report == REPORT + b"    @ more\n"


def test_where_only_the_first_process_is_missed(tmp_path):
    fatal = (
        b"F1130 22:24:56.2 1 client.h:80] the JAX distributed service detected fatal errors: x\n"
    )
    out, report = filtered(tmp_path, [fatal])
    assert out.startswith("train: error: lost process 0, which answers no more; start again; JAX's")
    assert report == fatal


def test_where_the_report_cannot_be_written_it_is_shown(tmp_path):
    (tmp_path / "file").write_text("")
    out, _ = filtered(tmp_path, [REPORT], "file/report.log")
    assert out.startswith(REPORT.decode().partition("    @")[0])
    assert "start again; " in out and "report.log cannot be written: " in out


@pytest.mark.parametrize(
    "text",
    [
        b"train: error: no config\n",
        b"half a line",
        b"line\nE",
        b"W1130 22:24:56.258951   30611 a.cc:1] slow\nmore of it\n",
        b"F1130 22:24:56.258951   30611 a.cc:1] failed\n*** Check failure stack trace: ***",
    ],
)
def test_all_else_is_passed_on(tmp_path, text):
    assert filtered(tmp_path, [text]) == (text.decode(), None)


def test_what_may_be_a_report_is_not_held_for_long(tmp_path, monkeypatch):
    monkeypatch.setattr(lost_process, "HOLD_SECONDS", 0.05)
    out = []
    own = lost_process.Filter(out.append, tmp_path / "report", 7, "")
    assert own.wait() is None
    own.feed(b"W1130 22:24:56.258951   30611 a.cc:1] slow\n")
    assert out == [b""] and 0 < (own.wait() or 0) <= 0.05
    time.sleep(0.06)
    assert own.wait() == 0


PROGRAM = """
import os, sys
from pathlib import Path
from xumx_jax.training.lost_process import Helper
helper = Helper(Path(sys.argv[1]), 7, "start again")
print("before", file=sys.stderr)
os.write(2, sys.stdin.buffer.read())
"""


@pytest.mark.parametrize(
    "text, ending, status, lines",
    [
        (REPORT, "os.abort()", -signal.SIGABRT, 1),
        (b"", "os.kill(os.getpid(), 9)", -signal.SIGKILL, 0),
        (b"", "sys.exit(3)", 3, 0),
        (b"", "helper.end(); print('after', file=sys.stderr, flush=True); os._exit(4)", 4, 1),
    ],
)
def test_however_a_process_ends_all_that_it_wrote_comes_out(tmp_path, text, ending, status, lines):
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM + ending, tmp_path / "report.log"],
        input=text, capture_output=True, timeout=60,
    )  # fmt: skip
    first, *rest = ran.stderr.decode().splitlines()
    assert (ran.returncode, first, len(rest)) == (status, "before", lines), ran.stderr
    assert rest in ([], ["after"], [f"{LINE} in {tmp_path}/report.log"])


def test_the_report_goes_to_the_workdir_of_the_run(tmp_path, monkeypatch, capsys):
    """And a process that is alone has no helper."""
    monkeypatch.setattr(distributed, "_helpers", [])
    for name in distributed.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    distributed.connect(reports=tmp_path)
    assert distributed._helpers == []

    def connect(*given):
        raise UserError(f"given {given}")

    monkeypatch.setattr(distributed, "connect", connect)
    words = ["--config", "configs/xumx.py:tiny", "--config.train.heartbeat_seconds=7"]
    assert train.main([*words, "--workdir", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"train: error: given {(False, 7, tmp_path)}\n"


STOPPED = """
import os, signal, sys, time
from pathlib import Path
from xumx_jax.training import distributed
distributed.connect(False, 2, Path(sys.argv[1]))
if os.environ["JAX_PROCESS_ID"] == "1":
    os.kill(os.getpid(), signal.SIGSTOP)
time.sleep(60)
"""


@pytest.mark.slow
def test_a_process_that_is_stopped_is_missed_within_its_time(tmp_path):
    (tmp_path / "script.py").write_text(STOPPED)
    begin = time.monotonic()
    command = ["-m", "xumx_jax.training.launch", "--processes", "2", tmp_path / "script.py"]
    ran = subprocess.run(
        [sys.executable, *command, tmp_path], capture_output=True, text=True, timeout=90,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
    )  # fmt: skip
    assert ran.returncode == 128 + signal.SIGABRT, ran.stderr
    assert time.monotonic() - begin < 30 + launch.GRACE_SECONDS
    (line,) = [line for line in ran.stderr.splitlines() if "Gloo" not in line]
    (report,) = tmp_path.glob("lost-process.*.log")
    assert line.startswith("train: error: lost process 1, not heard of for 2 s; start again, with")
    assert line.endswith(f"JAX's report of it is in {report}")
    assert "Check failure stack trace" in report.read_text()
