"""The recipes of docs/extend: their code is taken from the pages and run."""

import jax
import numpy as np
from documentation import add_modules, run

from xumx_jax import losses, models


def test_model(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(models, "MODELS", dict(models.MODELS))
    add_modules("extend/model.md", monkeypatch)
    mix = 0.1 * np.random.default_rng(0).standard_normal((2, 44_100)).astype(np.float32)
    names = run("extend/model.md", {"mix": mix})
    assert set(names["stems"]) == {"vocals", "drums", "bass", "other"}
    assert all(stem.shape == mix.shape for stem in names["stems"].values())
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(names["gradient"]))


def test_loss(monkeypatch):
    monkeypatch.setattr(losses, "LOSSES", dict(losses.LOSSES))
    add_modules("extend/loss.md", monkeypatch)
    names = run("extend/loss.md", {})
    assert names["parts"] == {"log_magnitude": names["value"]}


def test_effect(monkeypatch):
    from pipelines.mixing import effects

    monkeypatch.setattr(effects, "EFFECTS", dict(effects.EFFECTS))
    add_modules("extend/effect.md", monkeypatch)
    names = run("extend/effect.md", {})
    ((name, drive),) = names["plan"].effects
    assert name == "saturation" and drive.shape == (4, 1)
    assert names["louder"].shape == (1, 2)
