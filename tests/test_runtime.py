"""Where several threads may feed a device, and where they could lock it up."""

import os
from pathlib import Path

import jax
import pytest

from xumx_jax import runtime
from xumx_jax.errors import UserError


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


@pytest.mark.parametrize("reason", ["Not a directory", "Permission denied"])
def test_a_cache_that_cannot_be_made_is_one_line(monkeypatch, tmp_path, caplog, reason):
    folder = tmp_path / "cache"
    if reason == "Not a directory":
        folder.write_text("")
    else:
        monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setenv("XUMX_CACHE", str(folder))
    monkeypatch.delenv("JAX_ENABLE_COMPILATION_CACHE", raising=False)
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    try:
        runtime.cache_compiled_code()
        assert jax.config.jax_compilation_cache_dir is None
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
    (line,) = caplog.messages
    assert line == (
        f"{folder / 'compiled'}: cannot be written ({reason}), so code is compiled in every run; "
        "XUMX_CACHE=FOLDER chooses another place"
    )


def test_home_is_known_in_the_place_of_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XUMX_CACHE", "~/kept")
    assert runtime.cache_folder() == tmp_path / "kept"
    monkeypatch.setenv("XUMX_CACHE", "~nosuchuser/kept")
    assert runtime.cache_folder() == Path("~nosuchuser/kept"), "no traceback"


def test_nobody_knows_the_home_folder(monkeypatch, tmp_path):
    for name in ("XUMX_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert runtime.cache_folder() == tmp_path / "xumx_jax"


def test_one_device_of_several():
    several = runtime.devices("cpu")
    assert len(several) == 4  # see conftest.py
    assert runtime.devices("cpu:2") == (several[2],)
    for wrong, says in [
        ("cpu:4", "wanted cpu:0 to cpu:3"),
        ("cpu:", "wanted cpu:0 to cpu:3"),
        ("cpu:-1", "wanted cpu:0 to cpu:3"),
        ("auto:0", "unknown device 'auto:0'"),
        ("gpu:0", "JAX finds none here"),
    ]:
        with pytest.raises(UserError, match=says):
            runtime.devices(wrong)
