"""A catalogue on a Ray cluster whose driver, machine and worker are killed: nothing is lost."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import ray_cluster
from separating import RATE, noise, write

from xumx_jax import audio
from xumx_jax.commands.catalogue import outputs, rows
from xumx_jax.separation import record

pytest.importorskip("ray", reason="needs the extra cluster")
parquet = pytest.importorskip("pyarrow.parquet")
ROOT = Path(__file__).parents[2]
FILES, SECONDS, LIMIT_SECONDS = 12, 60, 240
CHOSEN = ("--stems", "bass,drums", "--shifts", "4")  # slow enough to be killed in time


def runs(place, tiny_model) -> tuple[dict, dict]:
    """Separate twice on a cluster, killing on the way -> what became of both runs."""
    (place / "music").mkdir()
    lines = ["path"]
    for number in range(FILES):
        write(place / f"music/{number}.wav", noise(RATE * SECONDS + number))
        lines.append(f"music/{number}.wav")
    (place / "all.csv").write_text("\n".join([*lines, "music/none.wav"]) + "\n")
    program = [sys.executable, str(ROOT / "separate.py"), "--model", str(tiny_model)]
    program += ["--manifest", str(place / "all.csv"), "--out", str(place / "out")]
    plan = {
        "command": [*program, "--runner", "ray", "--address", "{address}", *CHOSEN],
        "machines": 2,
        "out": str(place / "out"),
        "runs": [[[2, "driver"]], [[4, "machine"], [7, "worker"]]],
    }
    (place / "plan.json").write_text(json.dumps(plan))
    first, second = ray_cluster.start(place / "plan.json", LIMIT_SECONDS)
    return first, second


@pytest.mark.slow
def test_nothing_is_lost_with_a_driver_a_machine_and_a_worker(tmp_path, tiny_model, run_separate):
    # one test, since a cluster takes long to start
    first, second = runs(tmp_path, tiny_model)
    assert first["status"] == -9 and [one["what"] for one in first["killed"]] == ["driver"]
    assert [one["what"] for one in second["killed"]] == ["machine", "worker"]
    assert second["status"] == 1  # of the file that is not there
    skipped = [line for line in second["lines"] if ".wav: skipped" in line]
    assert 2 <= len(skipped) < FILES
    check_stems(tmp_path / "out")
    check_rows(tmp_path / "out")
    assert run_separate(tmp_path / "music/3.wav", "--out", "alone", *CHOSEN)[0] == 0
    for stem in ("bass", "drums"):
        here = audio.decode(f"alone/3/{stem}.wav")[0]
        assert np.abs(here - audio.decode(tmp_path / f"out/3/{stem}.wav")[0]).max() <= 2 / 32768


def check_stems(out):
    """Each file has its stems, its record and its report, and nothing else is left."""
    for number in range(FILES):
        folder = out / str(number)
        found = record.read(folder)
        assert found is not None and set(found.stems) == {"bass.wav", "drums.wav"}
        assert audio.decode(folder / "bass.wav")[0].shape == (2, RATE * SECONDS + number)
        report = rows.parse((folder / outputs.REPORT).read_bytes())
        assert report["status"] == rows.DONE and report["seconds"] >= SECONDS
    assert not list(out.rglob("*.part")) and not list(out.rglob(outputs.INTENT))


def check_rows(out):
    """Each file has one row in the table."""
    found = parquet.read_table(out / "report.parquet").to_pylist()
    assert len(found) == len({row["input"] for row in found}) == FILES + 1
    states = {row["name"]: row["status"] for row in found}
    assert states.pop("none") == rows.FAILED
    assert set(states.values()) == {rows.DONE, rows.SKIPPED}
