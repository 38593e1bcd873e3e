"""Where several threads may feed a device, and where they could lock it up."""

import os

from xumx_jax import runtime


def test_a_jaxlib_whose_ffts_may_lock_the_process(monkeypatch):
    monkeypatch.setattr(runtime, "version", lambda name: "0.11.2")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(3))
    monkeypatch.setenv("XLA_FLAGS", "--xla_some=1")
    assert runtime.fft_may_deadlock() and runtime.host_threads("cpu") == 1
    runtime.prevent_fft_deadlock()
    runtime.prevent_fft_deadlock()
    assert os.environ["XLA_FLAGS"] == "--xla_some=1 --xla_cpu_multi_thread_eigen=false"
    assert not runtime.fft_may_deadlock() and runtime.host_threads("cpu") == 3
    assert runtime.host_threads("cuda") == 1


def test_another_jaxlib_is_left_alone(monkeypatch):
    monkeypatch.setattr(runtime, "version", lambda name: "0.10.2")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(9))
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    runtime.prevent_fft_deadlock()
    assert "XLA_FLAGS" not in os.environ and runtime.host_threads("cpu") == runtime.MOST
