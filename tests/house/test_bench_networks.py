"""`bench/networks.py` with its benches: what is compared, when it fails, runs of tiny models."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
BENCH = ROOT / "bench"
pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="benchmarks read memory from Linux's /proc"
)
FOUND = {
    "difference": 1e-6,
    "versions": {"ours": "1"},
    "compile": {"cold": 3.0, "cached": 1.0},
    "cpu_seconds": {
        "ours": 2.0,
        "torch (1 thread)": 6.0,
        "torch (2 threads)": 8.0,
        "torch, heap kept (1 thread)": 5.0,
        "torch, heap kept (2 threads)": 3.0,
    },
    "seconds": {"ours": 1.0, "torch (2 threads)": 4.0, "torch, heap kept (2 threads)": 3.0},
    "gflop": 10.0,
    "gemm_gflop_per_s": 50.0,
    "peak_mib": {"ours": 100.0, "torch (2 threads)": 150.0, "torch, heap kept (2 threads)": 300.0},
}


@pytest.fixture
def networks(monkeypatch):
    monkeypatch.syspath_prepend(BENCH)
    import networks

    return networks


def test_ratios_are_to_the_better_number_of_threads(networks):
    assert networks.ratios(FOUND) == {
        "cpu_seconds": 3.0,
        "cpu_seconds_heap_kept": 1.5,
        "seconds": 4.0,
        "seconds_heap_kept": 3.0,
        "peak_mib": 1.5,
        "peak_mib_heap_kept": 3.0,
    }


def test_differences_are_relative(networks):
    wave = np.array([[1.0, -4.0]])
    assert networks.compare(wave[:, None] + 0.4, wave) == pytest.approx(0.1)
    # loss and norm of the gradient, each to itself
    assert networks.compare(np.array([1.1, 4.0]), np.array([1.0, 4.0])) == pytest.approx(0.1)


@pytest.mark.parametrize("difference, status", [(1e-6, 0), (2e-4, 1), (float("nan"), 1)])
def test_it_fails_if_the_sides_differ(networks, monkeypatch, capsys, difference, status):
    from aimless import BENCH

    def measure(bench, name, task, *rest):
        return FOUND | {"row": name, "task": task, "difference": difference}

    monkeypatch.setattr(networks, "measure", measure)
    monkeypatch.setattr(networks.subprocess, "run", lambda *command, **options: None)
    assert networks.main(BENCH, "", ["--rows", "demucs"]) == status
    said = capsys.readouterr().out
    assert json.loads(said.splitlines()[-1])["ratio"] == 3.0
    assert ("demucs, infer: differ by" in said) == bool(status)


def python_with_torch() -> str | None:
    """This interpreter, or that of `make parity`, whichever has what is compared with."""
    if all(importlib.util.find_spec(name) for name in ("torch", "demucs", "msst")):
        return sys.executable
    other = ROOT / ".venv-torch" / "bin" / "python"
    return str(other) if other.exists() else None


@pytest.mark.slow
@pytest.mark.skipif(python_with_torch() is None, reason="wanted: PyTorch, as in bench/parity-*.txt")
@pytest.mark.parametrize(
    "bench, row, tasks",
    [("aimless", "bsrnn", ("infer", "train")), ("modern", "mdxnet", ("infer",))],
)
def test_tiny_models_are_measured(bench, row, tasks):
    options = ["--quick", "--rounds", "1", "--rows", row]
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    command = [python_with_torch(), BENCH / f"{bench}.py", *options]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    told = json.loads(ran.stdout.splitlines()[-1])
    assert [(each["row"], each["task"]) for each in told["rows"]] == [(row, task) for task in tasks]
    assert told["ratio"] == told["rows"][0]["ratios"]["cpu_seconds"] > 0
    for each in told["rows"]:
        assert 0 <= each["difference"] < 1e-4
        assert all(f"| {row} | {each['task']} | {side} |" in ran.stdout for side in each["seconds"])
    assert len(told["rows"][0]["seconds"]) == (5 if bench == "aimless" else 3)
