"""The recipes of docs/extend: their code is taken from the pages and run."""

import re

import jax
import numpy as np
import pytest
import soundfile
from documentation import DOCS, add_modules, run

from xumx_jax import augment, losses, models
from xumx_jax.errors import UserError

pytestmark = pytest.mark.slow


@pytest.fixture
def restored():
    """Registries that are afterwards what they were before."""
    before = []

    def keep(registry):
        before.append((registry, dict(registry)))

    yield keep
    for registry, entries in before:
        registry.clear()
        registry.update(entries)


def test_model(monkeypatch, restored, tmp_path):
    monkeypatch.chdir(tmp_path)
    restored(models.MODELS)
    add_modules("extend/model.md", monkeypatch)
    mix = 0.1 * np.random.default_rng(0).standard_normal((2, 44_100)).astype(np.float32)
    names = run("extend/model.md", {"mix": mix})
    (line,) = re.findall(r'"gate": "([^"]+)"', (DOCS / "extend/model.md").read_text())
    models.MODELS["gate"] = line
    assert models.model_class("gate") is names["Gate"]
    assert models.build("gate", width=8) == names["model"]
    assert set(names["stems"]) == {"vocals", "drums", "bass", "other"}
    assert all(stem.shape == mix.shape for stem in names["stems"].values())
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(names["gradient"]))


def test_loss(monkeypatch, restored):
    restored(losses.LOSSES)
    add_modules("extend/loss.md", monkeypatch)
    names = run("extend/loss.md", {})
    assert names["parts"] == {"log_magnitude": names["value"]}


def test_augmentation(monkeypatch, restored):
    restored(augment.AUGMENTATIONS)
    add_modules("extend/augmentation.md", monkeypatch)
    names = run("extend/augmentation.md", {})
    assert names["found"].shape == (100, 1, 2, 3)


def test_effect(monkeypatch, restored):
    from pipelines.mixing import effects

    restored(effects.EFFECTS)
    add_modules("extend/effect.md", monkeypatch)
    names = run("extend/effect.md", {})
    ((name, drive),) = names["plan"].effects
    assert name == "saturation" and drive.shape == (4, 1)
    assert names["louder"].shape == (1, 2)


def test_data_set(monkeypatch, restored, tmp_path):
    from pipelines import datasets

    restored(datasets.DATASETS)
    add_modules("extend/dataset.md", monkeypatch)
    (tmp_path / "takes").mkdir()
    rows, ramp = ["split,track,source,file"], np.arange(2000) / 4000
    for split, track in (("train", "a"), ("train", "b"), ("valid", "c")):
        for number, source in enumerate(("drums", "vocals")):
            file = f"takes/{track}{number}.wav"
            soundfile.write(tmp_path / file, np.stack([ramp, -ramp], 1), 44_100)
            rows.append(f"{split},{track},{source},{file}")
    (tmp_path / "tracks.csv").write_text("\n".join(rows))

    names = run("extend/dataset.md", {"root": tmp_path})
    assert [track.name for track in names["split"].tracks] == ["a", "b"]
    assert names["train"].names == ("a", "b") and names["valid"].names == ("c",)
    assert names["train"].sources == ("vocals", "drums")
    wanted = np.stack([ramp, -ramp], 1)[500:1500]
    np.testing.assert_allclose(names["excerpt"], wanted, atol=1e-4)

    for text, message in (("track,source,file\n", "no column 'split'"), (None, "no such file")):
        path = tmp_path / "tracks.csv"
        path.write_text(text) if text else path.unlink()
        with pytest.raises(UserError, match=message):
            datasets.open_data("table", tmp_path, ("vocals",), 44_100, 2, {})
