"""Celery's prefork pool: a real worker, with its queue in a folder, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from separating import noise, write

from xumx_jax import audio

ROOT = Path(__file__).parents[2]
# Its tasks are those of an application; the thread stands in for whoever asked for them.
WORKER = """
import os, signal, sys, threading
from pathlib import Path
import numpy as np
from celery import Celery

what, model, folder = sys.argv[1:]
folder = Path(folder)
for name in ("queue", "results"):
    (folder / name).mkdir()
app = Celery("songs", broker="filesystem://", backend=f"file://{folder}/results")
app.conf.broker_transport_options = {
    "data_folder_in": f"{folder}/queue",
    "data_folder_out": f"{folder}/queue",
    "control_folder": f"{folder}/control",
}
import xumx_jax

if what == "loaded":
    separator = xumx_jax.load(model)
else:
    separator = xumx_jax.SpleeterWebSeparator(False, 0, model=model)

@app.task(name="call")
def call():
    return sorted(separator(np.zeros((2, 500), np.float32), 8000))

@app.task(name="load")
def load():
    return sorted(xumx_jax.load(model).sources)

@app.task(name="mix")
def mix():
    parts = dict(vocals=True, drums=False, bass=True, other=False)
    separator.create_static_mix(parts, folder / "track.wav", folder / "mix.wav")
    return os.getpid()

def ask():
    tasks = {"loaded": (call, load), "web": (mix, mix)}[what]
    try:
        for result in [task.delay() for task in tasks]:
            try:
                # the worker's own process is no task, though it looks like one from here
                process = result.get(timeout=100, disable_sync_subtasks=False)
                line = "forked" if process != os.getpid() else "not forked"
            except Exception as error:
                line = f"{type(error).__name__} {error}"
            with open(folder / "said", "a") as said:  # the worker takes stdout
                print(line, file=said)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)  # ends the worker when its tasks have ended

threading.Thread(target=ask).start()
app.worker_main(
    ["worker", "--pool=prefork", "--concurrency=1", "--loglevel=ERROR", "--without-heartbeat"]
    + ["--without-gossip", "--without-mingle"]
)
"""


def worker(what, model, folder):
    """What becomes of two tasks, a line for each."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_ENABLE_COMPILATION_CACHE": "0"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WORKER, what, str(model), str(folder)],
        env=environment | {"XUMX_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
        timeout=240,
    )
    lines = (folder / "said").read_text().splitlines()
    assert len(lines) == 2, (lines, done.stdout, done.stderr)
    return lines


@pytest.mark.slow
def test_a_separator_loaded_before_the_fork_is_one_line(tiny_model, tmp_path):
    for line in worker("loaded", tiny_model, tmp_path):
        assert line.startswith("UserError this process was forked after JAX had started"), line


@pytest.mark.slow
def test_spleeter_webs_class_is_made_before_the_fork_and_works_after_it(tiny_model, tmp_path):
    write(tmp_path / "track.wav", noise(3000))
    assert worker("web", tiny_model, tmp_path) == ["forked", "forked"]
    mix, rate = audio.decode(tmp_path / "mix.wav")
    assert (mix.shape, rate) == ((2, 3000), 8000) and np.abs(mix).max() > 0
