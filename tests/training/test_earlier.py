"""What earlier versions wrote is read: runs resume, weights separate, whatever was added since.

`tests/earlier` was written by the commit before there were format numbers; `after.npz` holds the
weights that its runs ended with there, one epoch later, and stems of its weights.
"""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import runs
from flax import struct

from pipelines import datasets
from xumx_jax import losses
from xumx_jax.separation.separator import Separator
from xumx_jax.training import state, step
from xumx_jax.training.monitor.logs import read_metrics
from xumx_jax.weights import store
from xumx_jax.weights.bag import load_model
from xumx_jax.weights.load import load_module

pytestmark = pytest.mark.usefixtures("own_cache", "one_device")
EARLIER = Path(__file__).parents[1] / "earlier"
AFTER = np.load(EARLIER / "after.npz")
RUNS = {"run": 0.0, "run_average": 0.9}


@pytest.fixture
def one_device(monkeypatch):
    """As when they were written: Adam inflates what sums in another order round away."""
    one = step.mesh(jax.devices()[:1])
    monkeypatch.setattr(step, "mesh", lambda: one)


def config(average: float):
    made = runs.config(average=average, epochs=2)
    made.model.args.update({"hidden_size": 4, "layers": 1, "n_fft": 32, "hop": 8})
    return made


def go_on(name: str, folder: Path, defaults=None) -> None:
    """Resume a run for its second epoch and compare the weights that it ends with."""
    shutil.copytree(EARLIER / name, folder)
    given = {} if defaults is None else {"defaults": defaults}
    lines = []
    outcome = runs.run(config(RUNS[name]), folder, runs.data(), lines.append, **given)
    assert outcome.row["step"] == 4 and lines[0].startswith("resuming after step 2")
    leaves = jax.tree_util.tree_leaves_with_path(load_model(folder).variables)
    assert len(leaves) == sum(key.startswith(f"{name}[") for key in AFTER)
    for path, leaf in leaves:
        wanted = AFTER[f"{name}{jax.tree_util.keystr(path)}"]
        # a tenth of what Adam moves a weight by in a step: processors round differently
        np.testing.assert_allclose(leaf, wanted, rtol=0, atol=1e-4, err_msg=str(path))


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_runs_go_on(name, tmp_path):
    go_on(name, tmp_path / "run")
    best = load_model(tmp_path / "run" / "best")
    assert np.isfinite(best.info["value"])
    # an epoch that improved made a pointer of the folder; one that did not left it
    improved = store.describe(store.newest(tmp_path / "run"))["info"]["progress"]["stale"] == 0
    assert (tmp_path / "run" / "best").is_dir() != improved


def test_best_as_it_was_loads():
    for name in RUNS:
        assert load_model(EARLIER / name / "best").info["step"] == 2


@dataclasses.dataclass(frozen=True)
class Grown:
    """A loss, options and a data set that were not there when the runs began."""

    @staticmethod
    def open(root, targets, rate, channels, *, depth: int = 3):
        raise AssertionError("not used")


@struct.dataclass
class LaterState(state.State):
    """With a field more."""

    ticks: Any = None


def later_init(*arguments, **options):
    made = ORIGINAL(*arguments, **options)
    fields = {f.name: getattr(made, f.name) for f in dataclasses.fields(made)}
    return LaterState(**fields, ticks=jnp.full((2,), 7.0))


ORIGINAL = state.init


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_runs_go_on_after_a_loss_a_data_set_options_and_a_field_were_added(
    name, tmp_path, monkeypatch
):
    from configs import common

    used, other = losses.LOSSES["multi_domain"], losses.LOSSES["mse"]

    def with_tilt(est, ref, mix, *, tilt, **options):
        assert tilt == 0.25
        return used.function(est, ref, mix, **options)

    more = used._replace(function=with_tilt, options={**used.options, "tilt": 0.25})
    monkeypatch.setitem(losses.LOSSES, "multi_domain", more)
    monkeypatch.setitem(losses.LOSSES, "l1", other._replace(options={"combinations": False}))
    monkeypatch.setitem(datasets.DATASETS, "grown", Grown.open)
    monkeypatch.setattr(state, "init", later_init)
    monkeypatch.setattr("xumx_jax.training.checkpointing.State", LaterState)
    made = config(RUNS[name])
    assert made.loss.multi_domain.tilt == 0.25 and made.data.grown.depth == 3
    go_on(name, tmp_path / "run", common.defaults("xumx"))
    newest = store.newest(tmp_path / "run")
    np.testing.assert_array_equal(store.read(newest, "optimizer")["ticks"], [7, 7])
    steps = [row for row in read_metrics(tmp_path / "run" / "metrics.jsonl") if "loss" in row]
    assert [row["step"] for row in steps] == [3, 4]


@pytest.mark.parametrize("file", ["xumx.safetensors", "xumx", "bands.safetensors"])
def test_weights_separate_as_they_did(file):
    module, variables, info = load_module(EARLIER / file)
    mix = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 4000)).astype(np.float32)
    stems = Separator(module, variables)(mix, 8000)
    assert list(stems) == list(module.sources)
    for source, wave in stems.items():
        wanted = AFTER[f"{file.split('.')[0]}/{source}"]
        np.testing.assert_allclose(wave, wanted, rtol=0, atol=1e-5)
    assert info.get("licence") == ("MIT" if "xumx" in file else None)
