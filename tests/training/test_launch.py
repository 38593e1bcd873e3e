"""Several processes that train as one."""

import signal
import time
from pathlib import Path

import jax
import numpy as np
import pytest
import runs
from hosts import start
from runs import run

from xumx_jax.training import launch, step
from xumx_jax.training.monitor.logs import read_metrics
from xumx_jax.weights import store

pytestmark = pytest.mark.usefixtures("quick_compile", "own_cache")


def losses(workdir: Path) -> list[list[float]]:
    records = list(read_metrics(workdir / "metrics.jsonl"))
    keys = ("loss", "mse", "sdr", "gradient_norm")
    return [[record[key] for key in keys] for record in records if "gradient_norm" in record]


def first_gradient(workdir: Path) -> list[np.ndarray]:
    """Adam's first moment after one step is a tenth of the gradient (and of the decay)."""
    state = store.read(workdir / store.STEPS / "00000001", "optimizer")["opt_state"]
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return [leaf for path, leaf in leaves if "mu" in jax.tree_util.keystr(path)]


@pytest.mark.slow
def test_two_processes_of_two_devices_equal_one_of_one(tmp_path, monkeypatch):
    """The same gradients to 1e-5 of the largest, the same loss curve, and only one log."""
    child, one = start(tmp_path / "two"), step.mesh(jax.devices()[:1])
    monkeypatch.setattr(step, "mesh", lambda: one)
    run(runs.config(save_steps=1, keep=99), tmp_path / "one", runs.data(), lambda _: None)
    output, _ = child.communicate(timeout=300)
    assert child.returncode == 0 and output.count("ended") == 2, output
    assert output.count("examples/s") == 1  # the table's header
    ours, wanted = losses(tmp_path / "two"), losses(tmp_path / "one")
    assert len(wanted) == 6
    np.testing.assert_allclose(ours, wanted, rtol=1e-3)
    np.testing.assert_allclose(ours[0], wanted[0], rtol=1e-5)
    ours, wanted = first_gradient(tmp_path / "two"), first_gradient(tmp_path / "one")
    largest = max(np.abs(leaf).max() for leaf in wanted)
    assert len(wanted) > 10
    for found, leaf in zip(ours, wanted, strict=True):
        np.testing.assert_allclose(found, leaf, rtol=0, atol=1e-5 * largest)


@pytest.mark.slow
def test_sigterm_to_the_launcher_saves_once_and_ends_well(tmp_path):
    child = start(tmp_path / "run", "endless")
    log = tmp_path / "run" / "metrics.jsonl"
    deadline = time.monotonic() + 240
    while not (log.is_file() and log.read_text().count("lr") > 5):
        assert time.monotonic() < deadline and child.poll() is None
        time.sleep(0.1)
    child.send_signal(signal.SIGTERM)
    output, _ = child.communicate(timeout=120)
    assert child.returncode == 0 and output.count("stopped after step") == 1, output
    last = [record["step"] for record in read_metrics(log) if record.get("event") == "stop"]
    assert store.newest(tmp_path / "run").name == f"{last[0]:08d}"


@pytest.mark.slow
def test_when_one_fails_the_others_are_ended(tmp_path):
    child = start(tmp_path / "run", "failing")
    assert child.wait(timeout=180) == 7
    child.stdout.close()


def test_usage():
    none_left = ["--processes", "2", "--restarts", "-1", "x.py"]
    for arguments in (["--processes", "0", "x.py"], ["--processes", "2"], none_left):
        with pytest.raises(SystemExit, match="2"):
            launch.main(arguments)
