"""`bench/learning.py`: what it makes of a run's records, and a run of it with hardly any music."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(BENCH)
    import learning

    return learning


def test_losses_and_sdrs_are_those_of_the_records(bench):
    steps = [{"step": n, "loss": 10.0 - n, "lr": 1.0} for n in range(8)]
    epochs = [
        {"epoch": n, "step": 4 * n, "valid": 1.0 / n, "sdr_db": {"a": n, "b": 3.0 * n}}
        for n in (1, 2)
    ]
    found = bench.summary([{"event": "start"}, *steps, *epochs])
    assert found["losses"] == [10.0 - n for n in range(8)]
    assert (found["first"], found["last"]) == (8.0, 6.5)  # of five steps, and of 25 or all
    assert found["valid"] == [1.0, 0.5] and found["sdr_db"] == [2.0, 4.0]


@pytest.mark.slow
def test_quick_trains_and_draws(tmp_path):
    picture = tmp_path / "learning.svg"
    command = [sys.executable, BENCH / "learning.py", "--quick", "--families", "demucs_split"]
    command += ["--workdir", tmp_path / "runs", "--out", picture]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(run.stdout.splitlines()[-1])["rows"]["demucs_split"]
    assert len(found["sdr_db"]) == 2 and found["mixture_db"] < 0
    assert "<svg" in picture.read_text()
