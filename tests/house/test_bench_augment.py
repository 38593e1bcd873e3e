"""`bench/augment.py`: its shares, when it fails, and a run of it with hardly any music."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.mixing.effects import EFFECTS
from xumx_jax.augment import AUGMENTATIONS

BENCH = Path(__file__).parents[2] / "bench"


@pytest.mark.parametrize("more, status", [(0.5, 0), (0.7, 1), (float("nan"), 1)])
def test_it_fails_if_the_step_takes_much_longer(monkeypatch, capsys, more, status):
    monkeypatch.syspath_prepend(BENCH)
    import augment as bench

    found = {
        "step": {
            bench.STEP: {"cpu_seconds": 4.0, "seconds": 2.0},
            bench.STEP_WITH_BOTH: {"cpu_seconds": 4 + more, "seconds": 3.0},
            "mono": {"cpu_seconds": 1.0, "seconds": 1.0},
        },
        "effects": {"resample": {"cpu_seconds": 2.0, "seconds": 2.0}},
    }
    monkeypatch.setattr(bench, "measure", lambda what, options: found[what])
    assert bench.main([]) == status
    said = capsys.readouterr().out
    result = json.loads(said.splitlines()[-1])
    assert result["ratio"] == pytest.approx(more / 4, nan_ok=True) and result["ratio_wall"] == 0.5
    assert result["inside"]["mono"] == 0.25 and result["effects"] == {"resample": 0.5}
    assert ("longer" in said) == bool(status)
    assert "| mono | 1.000 | 25.0 | 1.000 | 50.0 |" in said


@pytest.mark.slow
def test_quick_measures_everything():
    command = [sys.executable, BENCH / "augment.py", "--quick"]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(run.stdout.splitlines()[-1])
    assert set(AUGMENTATIONS) <= set(found["inside"])
    assert set(found["effects"]) <= set(EFFECTS) and found["effects"]
    assert all(share > 0 for part in ("inside", "effects") for share in found[part].values())
