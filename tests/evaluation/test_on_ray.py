"""evaluate.py on a Ray cluster gives the scores of a single machine, and says what fails."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import scored_songs

from pipelines.evaluation import command

pytest.importorskip("ray", reason="needs the extra cluster")
ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_scores_are_those_of_a_single_machine(tmp_path, tiny_model, monkeypatch, capsys):
    scored_songs.make(tmp_path / "songs", names=("one", "two"))
    (tmp_path / "songs/test/two/bass.wav").write_bytes(b"no music")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAX_ENABLE_COMPILATION_CACHE", "0")
    common = ["--model", str(tiny_model), "--root", "songs", "--metrics", "sdr", "--evaldir"]
    assert command.main([*common, "here"]) == 1
    here = capsys.readouterr()
    program = [sys.executable, str(ROOT / "evaluate.py"), *common, "there", "--runner", "ray"]
    there = subprocess.run(program, capture_output=True, text=True, timeout=100)
    assert there.returncode == 1
    assert "Ray: 1 machine, " in there.stdout and "one: SDR vocals" in there.stdout
    told = [line for line in there.stderr.splitlines() if line.startswith("evaluate: ")]
    assert told == here.err.splitlines()
    for name in ("test/one.json", "scores.json"):
        found = [json.loads((tmp_path / place / name).read_text()) for place in ("here", "there")]
        assert found[0] == found[1]
    assert command.main([*common, "there"]) == 1
    assert "1 of 2 tracks are scored already" in capsys.readouterr().out
