"""The recipes of docs/extend: their code is taken from the pages and run."""

from documentation import add_modules, run
from pipelines.mixing import effects


def test_effect(monkeypatch):
    monkeypatch.setattr(effects, "EFFECTS", dict(effects.EFFECTS))
    add_modules("extend/effect.md", monkeypatch)
    names = run("extend/effect.md", {})
    ((name, drive),) = names["plan"].effects
    assert name == "saturation" and drive.shape == (4, 1)
    assert names["louder"].shape == (1, 2)
