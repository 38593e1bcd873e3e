"""The pool on a Ray cluster: shares of machines, and machines that differ."""

import pytest

from xumx_jax import runtime
from xumx_jax.commands import ray_pool
from xumx_jax.commands.catalogue import on_ray
from xumx_jax.commands.ray_pool import share, skew
from xumx_jax.errors import UserError
from xumx_jax.files import digest

CPU, GPU = {"CPU": 16.0}, {"CPU": 16.0, "GPU": 4.0}


def nodes(*resources):
    return [{"Resources": one} for one in resources]


def test_one_worker_an_accelerator_and_its_share_of_the_cores():
    assert share(nodes(CPU, GPU, GPU)) == {"num_gpus": 1, "cores": 4, "workers": 8}
    tpu = {"CPU": 8.0, "TPU": 4.0}
    assert share(nodes(tpu)) == {"resources": {"TPU": 1}, "cores": 2, "workers": 4}
    assert share(nodes(GPU), cores=3) == {"num_gpus": 1, "cores": 3, "workers": 4}
    assert share(nodes(GPU), cpu=True) == {"num_cpus": 4, "cores": 4, "workers": 4}
    assert share(nodes({"CPU": 2.0}, {}, CPU)) == {"num_cpus": 2, "cores": 2, "workers": 9}
    assert share(nodes(CPU), cores=16) == {"num_cpus": 16, "cores": 16, "workers": 1}


@pytest.mark.parametrize(
    "machines, cores, line",
    [
        ([{}], None, "the cluster has no CPU cores to work on"),
        ([CPU], 17, "--worker-cores 17: the largest machine has 16"),
        ([CPU], 0, "--worker-cores 0: wanted 1 or more"),
    ],
)
def test_shares_that_cannot_be(machines, cores, line):
    with pytest.raises(UserError, match=line):
        share(nodes(*machines), cores)


def test_a_line_about_the_cluster():
    assert ray_pool.line(nodes(GPU, GPU), share(nodes(GPU, GPU))) == (
        "Ray: 2 machines, 8 workers with 1 GPU, 4 cores each"
    )
    one = nodes({"CPU": 1.0})
    assert ray_pool.line(one, share(one)) == "Ray: 1 machine, 1 worker with 1 core each"


def test_machines_with_other_versions():
    here = ray_pool.versions()
    assert {"Python", "xumx_jax", "jax", "jaxlib", "flax"} == set(here) and skew(here, here) is None
    assert skew(here, {**here, "jax": "0.1"}) == (
        f"jax is 0.1, and {here['jax']} here; wanted the same on all machines"
    )
    del here["flax"], (there := dict(here))["jaxlib"]
    assert skew(here, there).startswith("jaxlib is not installed, and ")


def test_a_model_that_only_the_driver_has(tmp_path):
    model, out = tmp_path / "m.safetensors", str(tmp_path / "out")
    model.write_bytes(b"weights")
    assert on_ray.fault({str(model): digest(model)}, out) is None
    assert on_ray.fault({str(model): "0"}, out).startswith(f"has another {model}; wanted the same")
    model.unlink()
    assert on_ray.fault({str(model): "0"}, out) == (
        f"has no {model}; wanted the model in a place that all machines see"
    )
    (tmp_path / "out").write_text("a file")
    assert "cannot be written" in on_ray.fault({}, out)


def test_workers_share_the_cores(monkeypatch):
    monkeypatch.setenv(runtime.CORE_LIMIT, "")
    usual = runtime.cores()
    runtime.limit_cores(1)
    assert runtime.cores() == 1 and usual >= 1
    runtime.limit_cores(10_000)
    assert runtime.cores() == usual


def test_a_worker_that_cannot_be_made_gives_rows(monkeypatch):
    monkeypatch.setenv(runtime.CORE_LIMIT, "")
    monkeypatch.setattr(on_ray.time, "sleep", lambda seconds: None)
    monkeypatch.setattr("xumx_jax.commands.catalogue.worker.Worker", fails)
    actor = ray_pool._Actor("xumx_jax.commands.catalogue.on_ray:Remote", (None, None, None), 1)
    item = '{"source": "a", "name": "a", "label": "a", "fault": "", "note": ""}'
    (row,) = actor({"item": [item]})["row"]
    assert '"error": "a: no model (on ' in row


def fails(*_):
    raise UserError("no model")
