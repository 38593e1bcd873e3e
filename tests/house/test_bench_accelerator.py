"""`bench/accelerator.py --quick` measures every model, and every model has its row."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from xumx_jax.models import MODELS

BENCH = Path(__file__).parents[2] / "bench"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="benchmarks read memory from Linux's /proc")
def test_every_row_is_measured():
    command = [sys.executable, BENCH / "accelerator.py", "--quick"]
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(BENCH.parent)}
    environment.pop("XLA_FLAGS", None)
    ran = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    lines = ran.stdout.splitlines()
    told = json.loads(lines[-1])
    assert told["left_out"] == []
    ours = [result for result in told["results"] if result["side"] == "jax"]
    measured = [(result["row"], result["task"]) for result in ours]
    rows = list(dict.fromkeys(row for row, _ in measured))
    assert measured == [(row, task) for row in rows for task in ("separate", "train")]
    assert {"demo", *MODELS} <= set(rows)
    for result in told["results"]:
        music = {"separate": 2.0, "train": 1.0}[result["task"]]
        assert result["times_real_time"] == pytest.approx(1000 * music / result["ms"])
        assert result["ms"] > 0 and result["peak_mib"] > 50 and result["device"] == "cpu"
        assert f"| {result['row']} | {result['task']} | {result['side']} " in ran.stdout
