"""Ctrl-C and SIGTERM at any time: nothing unfinished is left, and the same command resumes."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from separating import noise, stems_in, write

from xumx_jax import audio
from xumx_jax.commands import console, options
from xumx_jax.commands.batch import planning, run
from xumx_jax.separation import inputs, record
from xumx_jax.separation.separator import Separator

ROOT = Path(__file__).parents[2]
STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143}
# {phase: what is called in it}
PHASES = {
    "load": (options, "load"),
    "look": (planning, "measure"),
    "decode": (inputs.ReadAhead, "_next"),
    "separate": (Separator, "stream"),
    "write": (audio.StemWriter, "write"),
    "encode": (audio.StemWriter, "_encode"),
    "finish": (audio.StemWriter, "_finish"),
    "rename": (audio.StemWriter, "_rename"),
    "between": (run.Batch, "_report"),
}


def interrupt_second(monkeypatch, phase, number):
    """Send this process a signal when that phase is reached for the second time."""
    place, name = PHASES[phase]
    called, function = [], getattr(place, name)

    def interrupted(*arguments, **options):
        called.append(name)
        if len(called) == (1 if phase == "load" else 2):
            os.kill(os.getpid(), number)
            end = time.monotonic() + 60  # for the main thread to hear it, which then sets this
            while signal.getsignal(number) != signal.SIG_DFL and time.monotonic() < end:
                time.sleep(0.01)
        return function(*arguments, **options)

    monkeypatch.setattr(place, name, interrupted)


@pytest.mark.slow
@pytest.mark.parametrize("number", STATUS)
@pytest.mark.parametrize("phase", PHASES)
def test_nothing_unfinished_is_left(run_separate, monkeypatch, tmp_path, phase, number):
    names = ("a.wav", "b.wav", "c.wav")
    for name in names:
        write(name, noise(500))
    arguments = (*names, "--stems", "bass", "--json", "report.json")
    handlers = [signal.getsignal(number) for number in STATUS]
    with monkeypatch.context() as patch:
        interrupt_second(patch, phase, number)
        status, _, err = run_separate(*arguments)
    assert status == STATUS[number] and err.count("\n") == 1
    assert err == "xumx: error: interrupted" + " by SIGTERM" * (number == signal.SIGTERM) + "\n"
    assert handlers == [signal.getsignal(number) for number in STATUS]
    left = stems_in(tmp_path / "work")
    done = [name for name in names if f"separated/{name[0]}/bass.wav" in left]
    assert left == sorted([*names, "report.json", *(f"separated/{n[0]}/bass.wav" for n in done)])
    report = json.loads(Path("report.json").read_text())
    assert report["status"] == STATUS[number] and len(done) < 3
    assert [t["input"] for t in report["tracks"] if t["status"] == "done"] == done
    status, out, err = run_separate(*arguments, "--skip-existing")
    assert (status, err, out.count("skipped, its stems")) == (0, "", len(done))
    assert len(stems_in(tmp_path / "work" / "separated")) == 3


def test_a_signal_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with console.terminable(), console.stoppable() as stop:
            os.kill(os.getpid(), signal.SIGTERM)
            assert not stop.asked()
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.slow
def test_the_program_itself(tiny_model, tmp_path):
    """Many tracks, several at once, ended from outside when the first are done."""
    names = [f"{number}.wav" for number in range(400)]
    for name in names:
        write(tmp_path / name, noise(4000))
    command = [sys.executable, str(ROOT / "separate.py"), *names, "--model", str(tiny_model)]
    settings = {"JAX_PLATFORMS": "cpu", "XUMX_CACHE": str(tmp_path / "cache")}
    process = subprocess.Popen(
        [*command, "--jobs", "2", "--stems", "bass"],
        cwd=tmp_path,
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while "separated in" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 143 and err == "xumx: error: interrupted by SIGTERM\n"
    found = [path for path in (tmp_path / "separated").rglob("*.*") if path.name != record.FILE]
    assert 0 < len(found) < 400
    assert all(audio.decode(path)[0].shape == (2, 4000) for path in found)


def test_waiting_for_a_pipe_ends_at_the_first_interrupt(tmp_path):
    os.mkfifo(tmp_path / "song.wav")
    command = [sys.executable, "-m", "xumx_jax", "separate", "song.wav"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    child = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE)
    try:
        held = None
        while held is None and child.poll() is None:  # until it has opened the pipe
            with contextlib.suppress(OSError):
                held = os.open(tmp_path / "song.wav", os.O_WRONLY | os.O_NONBLOCK)
            time.sleep(0.05)
        time.sleep(0.2)
        child.send_signal(signal.SIGINT)
        child.wait(60)
        os.close(held)
        assert (child.returncode, child.stderr.read()) == (130, b"xumx: error: interrupted\n")
    finally:
        child.kill()
        child.stderr.close()
    assert [path.name for path in tmp_path.iterdir()] == ["song.wav"]
