"""`bench/accelerator.py --quick` measures every model; a model is a row there, and nothing more."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params
from toy_models import toys  # noqa: F401

from xumx_jax import losses
from xumx_jax.models import MODELS, build
from xumx_jax.weights.load import load_module

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


def largest(jaxpr) -> int:
    """Bytes of the largest array that a program computes or holds, inner programs included."""
    sizes = [0]
    for equation in jaxpr.eqns:
        arrays = [each.aval for each in equation.outvars if hasattr(each.aval, "dtype")]
        sizes += [each.size * getattr(each.dtype, "itemsize", 4) for each in arrays]
        sizes += [largest(inner) for inner in jaxprs_in_params(equation.params)]
    return max(sizes)


@pytest.mark.slow
def test_no_quick_row_takes_much_memory(monkeypatch):
    """Chunks have a model's own length with --quick too: attention would see all of it at once."""
    monkeypatch.syspath_prepend(BENCH)
    import accelerator

    demo, _, _ = load_module("demo")
    for name, row in accelerator.ROWS.items():
        module = demo if name == "demo" else build(row.model, **row.args | row.quick)
        length = module.segment.fit(module.segment.usual)
        mix = jax.ShapeDtypeStruct((1, module.channels, length), np.float32)
        traced = jax.make_jaxpr(module.init_with_output)(jax.random.key(0), mix)
        held = [np.asarray(each).nbytes for each in traced.consts]
        assert max(largest(traced.jaxpr), sum(held)) < 2**28, name


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
