"""What `--model` takes, and where JAX computes."""

import argparse
from types import SimpleNamespace

import jax
import pytest

from xumx_jax import runtime
from xumx_jax.commands import options
from xumx_jax.errors import UserError


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (None, [(None, 1.0)]),
        (["umx"], [("umx", 1.0)]),
        (["umx:0.7", "x-umx:.3"], [("umx", 0.7), ("x-umx", 0.3)]),
        (["umx:1e-1", "x-umx"], [("umx", 0.1), ("x-umx", 1.0)]),
        (["C:\\models\\a.h5"], [("C:\\models\\a.h5", 1.0)]),
        (["C:\\models\\a.h5:2"], [("C:\\models\\a.h5", 2.0)]),
        (["there:2", "there:2:3", "gone:2"], [("there:2", 1.0), ("there:2", 3.0), ("gone", 2.0)]),
        (["a:", ":2", "a:b"], [("a:", 1.0), (":2", 1.0), ("a:b", 1.0)]),
    ],
)
def test_names_paths_and_weights(tmp_path, monkeypatch, given, found):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there:2").touch()
    assert options.parse_models(given) == found


def parsed(*words):
    """Words of a command line as the arguments of a Separator."""
    parser = argparse.ArgumentParser()
    options.add_separation(parser)
    return options.separator_options(parser.parse_args(words))


def test_how_chunks_and_channels_are_separated():
    """What is not asked for is not in reports either."""
    usual = parsed()
    assert not {"protocol", "transition_power", "mid_side", "denoise"} & set(usual)
    words = ("--protocol", "demucs", "--overlap", "0.5", "--transition-power", "2", "--mid-side")
    more = {"protocol": "demucs", "overlap": 0.5, "transition_power": 2.0, "mid_side": True}
    assert parsed(*words) == usual | more
    assert parsed("--denoise") == usual | {"denoise": True}
    assert parsed("--overlap", "0.5") == usual | {"overlap": 0.5}
    with pytest.raises(UserError, match="unknown protocol 'own'; known: original, demucs"):
        parsed("--protocol", "own")


@pytest.mark.parametrize("text", ["umx:0", "umx:-1", "umx:1e999"])
def test_weights_that_make_no_sense(text):
    with pytest.raises(UserError, match=f"--model {text}: the weight is .*; wanted a positive"):
        options.parse_models([text])


def test_a_line_about_models_and_device():
    infos = [{"name": None, "path": "/x/umxl.pth", "weight": 1.0, "licence": "CC BY-NC-SA 4.0"}]
    line, where = options.describe(infos)
    assert line == f"model /x/umxl.pth, licence: CC BY-NC-SA 4.0; device {where}"
    assert where == f"{jax.local_device_count()} x cpu"


def of(backend, tried, errors=()):
    """JAX on a machine that has `backend`, which fails for platforms in `errors`."""

    def default_backend():
        platforms = config.jax_platforms
        tried.append(platforms)
        if platforms in errors:
            raise RuntimeError(f"Unable to initialize backend\nof {platforms}")
        return backend

    def update(name, value):
        setattr(config, name, value)

    config = SimpleNamespace(jax_platforms="before", update=update)
    return SimpleNamespace(config=config, default_backend=default_backend)


def test_auto_is_left_to_jax(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "jax", None)  # importing it would fail
    runtime.choose_device("auto")


def test_a_gpu_of_either_make(monkeypatch):
    tried = []
    fake = of("gpu", tried, ["cuda,cpu"])
    monkeypatch.setitem(__import__("sys").modules, "jax", fake)
    runtime.choose_device("gpu")
    assert tried == ["cuda,cpu", "rocm,cpu"] and fake.config.jax_platforms == "rocm,cpu"


def test_only_auto_may_fall_back(monkeypatch):
    fake = of("cpu", [], ["cuda,cpu"])
    monkeypatch.setitem(__import__("sys").modules, "jax", fake)
    with pytest.raises(UserError) as raised:
        runtime.choose_device("gpu")
    assert str(raised.value) == (
        "--device gpu: JAX finds no GPU here (Unable to initialize backend); use --device auto, "
        "or install JAX for it ('.[cuda12]', '.[cuda13]' or '.[tpu]')"
    )
    assert fake.config.jax_platforms == "before"
