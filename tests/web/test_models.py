"""The models that jobs may ask for, and which of them are kept in memory."""

from dataclasses import replace
from pathlib import Path

import jax
import pytest

from xumx_jax import assets
from xumx_jax.errors import UserError
from xumx_jax.web import worker
from xumx_jax.web.errors import NoModel
from xumx_jax.web.jobs import Options
from xumx_jax.web.models import RETRY_SECONDS, Separators, offered
from xumx_jax.web.settings import Settings
from xumx_jax.weights import zoo

DEMO = Options("demo")


@pytest.fixture
def settings(tmp_path):
    return Settings(tmp_path)


@pytest.fixture
def made(monkeypatch):
    """What Separators were made with, in order; each is an object of its own."""
    made = []
    monkeypatch.setattr(
        "xumx_jax.separation.separator.separator_of",
        lambda bag, **options: made.append(options) or object(),
    )
    return made


def test_by_default_every_model_of_the_zoo_is_offered(settings):
    found = offered(settings)
    assert list(found)[:2] == [zoo.DEFAULT, assets.DEMO] and set(found) == set(zoo.names())
    assert found.pop(zoo.DEFAULT) is None  # which may be replaced by the bundled one
    assert all(name == wanted for name, wanted in found.items())


def test_models_that_are_chosen_are_all_and_paths_have_names(settings, tmp_path):
    (tmp_path / "mine.safetensors").write_bytes(b"")
    path = str(tmp_path / "mine.safetensors")
    found = offered(replace(settings, models=(path, "x-umx")))
    assert list(found.items()) == [("mine", path), ("x-umx", "x-umx")]
    for models, says in [
        (("none",), "--model none: no such model; wanted a path, or one of x-umx"),
        ((str(tmp_path / "none.h5"),), "none.h5: no such model"),
        ((path, path), "two models are called 'mine'"),
    ]:
        with pytest.raises(UserError, match=says):
            offered(replace(settings, models=models))


def test_one_separator_is_kept_and_another_while_both_are_used(settings, made):
    separators = Separators(settings, "cpu")
    other = replace(DEMO, niter=0)
    with separators.using(DEMO) as first:
        with separators.using(replace(DEMO, stems="vocals")) as second:
            assert second.separator is first.separator  # no option of a Separator's
        with separators.using(other) as third:
            assert third.separator is not first.separator and len(made) == 2
            with separators.using(DEMO) as fourth:
                assert fourth.separator is first.separator
    assert len(made) == 2
    with separators.using(other) as kept:
        assert kept.separator is third.separator and separators.models() == ["demo"]
    with separators.using(DEMO) as again:
        assert again.separator is not first.separator and len(made) == 3


def test_options_reach_the_separator_and_a_device_by_name_has_no_substitute(settings, made):
    options = Options("demo", niter=2, softmask=True, alpha=2.0, residual=True)
    for device, fallback in (("auto", True), ("gpu", False)):
        with Separators(replace(settings, device=device), "cpu:1").using(options):
            assert made.pop() == {
                **{"niter": 2, "softmask": True, "alpha": 2.0, "residual": True},
                **{"device": "cpu:1", "cpu_fallback": fallback},
            }


def test_an_error_while_it_works_keeps_the_separator_usable(settings, made):
    separators = Separators(settings, "cpu")
    with pytest.raises(KeyError), separators.using(DEMO):
        raise KeyError
    with separators.using(replace(DEMO, niter=0)):
        assert separators.models() == ["demo"] and len(made) == 2  # the first one has gone


def test_options_that_the_model_refuses_are_one_line(settings):
    with pytest.raises(UserError, match="alpha is 2.0 without softmask"):
        with Separators(settings, "cpu").using(replace(DEMO, alpha=2.0)):
            pass


def test_a_download_that_failed_is_said_and_tried_again_later(settings, made, monkeypatch):
    def fails(name):
        tried.append(name)
        raise UserError("https://somewhere: no route")

    tried, now = [], [0.0]
    monkeypatch.setattr(zoo, "find", fails)
    separators = Separators(settings, "cpu", lambda: now[0])
    default = Options(zoo.DEFAULT)
    for seconds, times in [(0.0, 1), (RETRY_SECONDS - 1, 1), (RETRY_SECONDS, 2)]:
        now[0] = seconds
        with separators.using(default) as kept:
            assert kept.instead == "separated by demo: x-umx could not be downloaded"
        assert len(tried) == times
    with pytest.raises(NoModel, match="^model 'x-umx' cannot be loaded; the server's log says"):
        with Separators(replace(settings, models=("x-umx",)), "cpu").using(default):
            pass
    with Separators(settings, "cpu").using(DEMO) as kept:
        assert kept.instead == ""


def test_of_several_accelerators_each_gets_its_threads_and_processors_are_one(monkeypatch):
    class Device:
        platform, device_kind = "gpu", "Big GPU"

    assert worker.devices("auto") == [("cpu", "auto")]  # of four, in the tests
    monkeypatch.setattr("xumx_jax.runtime.devices", lambda kind: (Device, Device))
    assert worker.devices("auto") == [("Big GPU 0", "gpu:0"), ("Big GPU 1", "gpu:1")]
    monkeypatch.setattr("xumx_jax.runtime.devices", lambda kind: (Device,))
    assert worker.devices("auto") == [("Big GPU", "auto")]


def test_a_separator_computes_on_the_device_that_it_is_for(settings, tiny_model):
    settings = replace(settings, models=(str(tiny_model),))
    with Separators(settings, "cpu:2").using(Options("tiny")) as kept:
        assert kept.separator.engine.device == jax.devices("cpu")[2]


@pytest.mark.parametrize(
    ("folder", "message", "shown"),
    [
        ("/srv/jobs/ab", "/srv/jobs/ab/a.wav: is full", "a.wav: is full"),
        (
            "/srv/jobs/ab",
            "/srv/jobs/ab: is a file, and /srv/jobs too",
            "ab: is a file, and jobs too",
        ),
        ("ab", "song.mp3: ends at 1.5 s; see ab/a.wav.", "song.mp3: ends at 1.5 s; see a.wav."),
    ],
)
def test_places_of_the_server_are_not_shown(folder, message, shown):
    assert worker.shown(message, Path(folder)) == shown
