"""`bench/accelerator.py --quick` measures every model; a model is a row there, and nothing more."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from toy_models import toys  # noqa: F401

from xumx_jax import losses
from xumx_jax.models import MODELS

BENCH = Path(__file__).parents[2] / "bench"
pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="benchmarks read memory from Linux's /proc"
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, loss, seconds",
    [("toy_wave", "weighted_sdr", 4096 / 8000), ("toy_ragged", "mse", 8192 / 8000)],
)
def test_a_family_is_a_row(name, loss, seconds, toys, quick_compile, monkeypatch):  # noqa: F811
    """Models that have neither a post filter nor an axis, and take not every length."""
    monkeypatch.syspath_prepend(BENCH)
    import accelerator
    import accelerator_jax

    row = accelerator.Row(name, loss)
    module, variables = accelerator_jax.model_of(row, quick=True)
    wanted = replace(accelerator.QUICK, track_seconds=0.3, seconds=0.8)
    size = accelerator_jax.fitted(module, wanted)
    assert size == replace(wanted, seconds=seconds)
    stems = accelerator_jax.separating(row, module, variables, size)()
    assert {wave.shape for wave in stems.values()} == {(2, 2400)}
    accelerator_jax.training(row, module, variables, size)()


def test_every_model_has_a_row_that_fits_it(monkeypatch):
    """With --quick, and with a loss that the model's estimates have all of."""
    monkeypatch.syspath_prepend(BENCH)
    import accelerator
    import accelerator_jax

    assert {"demo", *MODELS} == set(accelerator.ROWS)
    for name, row in accelerator.ROWS.items():
        module, _ = accelerator_jax.model_of(row, quick=True)
        options = row.options | {field: getattr(module, field) for field in row.fields}
        losses.check(row.loss, name, module, **options)


@pytest.mark.slow
def test_rows_are_measured():
    """Of one model that others are compared with, and of the bundled one."""
    rows = ["umx", "demo"]
    command = [sys.executable, BENCH / "accelerator.py", "--quick", "--rows", *rows]
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(BENCH.parent)}
    environment.pop("XLA_FLAGS", None)
    ran = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    lines = ran.stdout.splitlines()
    told = json.loads(lines[-1])
    assert told["left_out"] == []
    ours = [result for result in told["results"] if result["side"] == "jax"]
    measured = [(result["row"], result["task"]) for result in ours]
    assert measured == [(row, task) for row in rows for task in ("separate", "train")]
    for result in told["results"]:
        music = {"separate": 2.0, "train": 1.0}[result["task"]]
        assert result["times_real_time"] == pytest.approx(1000 * music / result["ms"])
        assert result["ms"] > 0 and result["peak_mib"] > 50 and result["device"] == "cpu"
        assert f"| {result['row']} | {result['task']} | {result['side']} " in ran.stdout
