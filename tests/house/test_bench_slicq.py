"""`bench/slicq.py`: what it compares, when it fails, and a run of it with hardly any music."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
BENCH = ROOT / "bench"
pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="benchmarks read memory from Linux's /proc"
)
SIDES = ("ours, heap kept", "torch, heap kept", "ours", "torch")
FOUND = {
    "difference": 1e-6,
    "versions": {"ours": "1", "torch": "2"},
    "compile": {"cold": 3.0, "cached": 1.0},
    "cpu_seconds": dict(zip(SIDES, (2.0, 8.0, 4.0, 10.0), strict=True)),
    "seconds": dict(zip(SIDES, (1.0, 5.0, 3.0, 6.0), strict=True)),
    "peak_mib": dict(zip(SIDES, (100.0, 300.0, 50.0, 200.0), strict=True)),
}


@pytest.fixture
def slicq(monkeypatch):
    monkeypatch.syspath_prepend(BENCH)
    import slicq

    return slicq


def test_ratios_are_to_the_side_whose_heap_is_treated_alike(slicq):
    assert slicq.ratios(FOUND) == {
        "cpu_seconds": 4.0,
        "cpu_seconds_heap_not_kept": 2.5,
        "seconds": 5.0,
        "seconds_heap_not_kept": 2.0,
        "peak_mib": 3.0,
        "peak_mib_heap_not_kept": 4.0,
    }


def test_sources_are_compared_by_their_names(slicq):
    waves = np.arange(6.0).reshape(1, 3, 2)
    turned = slicq.ordered(waves, ["bass", "drums", "vocals"], ["vocals", "bass", "drums"])
    assert turned.tolist() == [[[4, 5], [0, 1], [2, 3]]]
    assert slicq.ordered(waves, [], []) is waves


def test_differences_are_relative(slicq):
    wave = np.array([[1.0, -4.0]])
    assert slicq.compare(wave + 0.4, wave) == pytest.approx(0.1)
    # loss and norm of the gradient, each to itself
    assert slicq.compare(np.array([1.1, 4.0]), np.array([1.0, 4.0])) == pytest.approx(0.1)
    with pytest.raises(SystemExit, match="theirs"):
        slicq.compare(wave, wave[0])


@pytest.mark.parametrize("difference, status", [(1e-6, 0), (2e-4, 1), (float("nan"), 1)])
def test_it_fails_if_the_sides_differ(slicq, monkeypatch, capsys, difference, status):
    def measure(name, *rest):
        return FOUND | {"row": name, "difference": difference}

    long = {"10": {"peak_mib": 900.0, "cpu_seconds": 1, "seconds": 1}}
    long["60"] = long["10"] | {"peak_mib": 800.0}
    monkeypatch.setattr(slicq, "measure", measure)
    monkeypatch.setattr(slicq, "measure_memory", lambda *given: {"row": "memory", "minutes": long})
    monkeypatch.setattr(slicq.subprocess, "run", lambda *command, **options: None)
    assert slicq.main(["--rows", "transform", "v1", "memory"]) == status
    said = capsys.readouterr().out
    told = json.loads(said.splitlines()[-1])
    assert told["ratio"] == told["ratio_v1"] == 4.0 and told["ratio_v2"] is None
    assert told["ratio_heap_not_kept"] == 2.5 and told["memory_mib"] == 900
    assert "| 60 | 800 |" in said
    assert ("transform: differ by" in said) == bool(status)


def python_with_both() -> str | None:
    """The interpreter of `make parity`, if it has what is compared with."""
    packages = (ROOT / ".venv-torch").glob("lib/python*/site-packages/xumx_slicq_v2")
    return str(ROOT / ".venv-torch" / "bin" / "python") if any(packages) else None


@pytest.mark.slow
@pytest.mark.skipif(python_with_both() is None, reason="wanted: PyTorch, as in bench/parity-*.txt")
@pytest.mark.parametrize("row", ["v1"])
def test_a_little_music_is_measured(row):
    told, said = measured("--rounds", "1", "--rows", row)
    (found,) = told["rows"]
    assert found["row"] == row and list(found["seconds"]) == list(SIDES)
    assert 0 <= found["difference"] < 1e-4
    assert all(f"| {row} | {side} |" in said for side in SIDES)
    assert found["ratios"]["cpu_seconds"] > 0


@pytest.mark.slow
@pytest.mark.skipif(python_with_both() is None, reason="wanted: PyTorch, as in bench/parity-*.txt")
def test_the_memory_of_tracks_is_measured():
    told, said = measured("--rows", "memory", "--minutes", "0.05")
    assert told["memory_mib"] == told["rows"][0]["minutes"]["0.05"]["peak_mib"] > 100
    assert "| minutes | peak MiB |" in said and told["ratio"] is None


def measured(*options: str) -> tuple[dict, str]:
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    command = [python_with_both(), BENCH / "slicq.py", "--quick", *options]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return json.loads(ran.stdout.splitlines()[-1]), ran.stdout
