"""Where several threads may feed a device, and where they could lock it up."""

import os

from xumx_jax.separation import threads


def test_a_jaxlib_whose_ffts_may_lock_the_process(monkeypatch):
    monkeypatch.setattr(threads, "version", lambda name: "0.11.2")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(3))
    monkeypatch.setenv("XLA_FLAGS", "--xla_some=1")
    assert threads.fft_may_lock() and threads.host_threads("cpu") == 1
    threads.let_no_fft_lock()
    threads.let_no_fft_lock()
    assert os.environ["XLA_FLAGS"] == "--xla_some=1 --xla_cpu_multi_thread_eigen=false"
    assert not threads.fft_may_lock() and threads.host_threads("cpu") == 3
    assert threads.host_threads("cuda") == 1


def test_another_jaxlib_is_left_alone(monkeypatch):
    monkeypatch.setattr(threads, "version", lambda name: "0.10.2")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(9))
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    threads.let_no_fft_lock()
    assert "XLA_FLAGS" not in os.environ and threads.host_threads("cpu") == threads.MOST
