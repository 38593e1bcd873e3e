"""A catalogue on a Ray cluster whose driver, machine and worker are killed: nothing is lost."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from separating import RATE, noise, write

from xumx_jax import audio
from xumx_jax.commands.catalogue import outputs, rows
from xumx_jax.separation import record

pytest.importorskip("ray", reason="needs the extra cluster")
ROOT = Path(__file__).parents[2]
FILES, SECONDS = 14, 60
CHOSEN = ("--stems", "bass,drums", "--shifts", "4")  # slow enough to be killed in time


@pytest.fixture(scope="module")
def killed(tmp_path_factory, tiny_model):
    """(folder of the stems, what became of two runs): the driver of the first is killed."""
    import ray_cluster

    place = tmp_path_factory.mktemp("catalogue")
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
    return place / "out", ray_cluster.start(place / "plan.json", 130)


@pytest.mark.slow
def test_a_rerun_goes_on_where_a_killed_driver_stopped(killed):
    out, (first, second) = killed
    assert first["status"] == -9 and [one["what"] for one in first["killed"]] == ["driver"]
    skipped = [line for line in second["lines"] if "skipped" in line and ".wav: " in line]
    assert 2 <= len(skipped) < FILES


@pytest.mark.slow
def test_nothing_is_lost_with_a_machine_or_a_worker(killed):
    out, (_, second) = killed
    assert [one["what"] for one in second["killed"]] == ["machine", "worker"]
    assert second["status"] == 1  # of the file that is not there
    for number in range(FILES):
        folder = out / str(number)
        found = record.read(folder)
        assert found is not None and set(found.stems) == {"bass.wav", "drums.wav"}
        assert audio.decode(folder / "bass.wav")[0].shape == (2, RATE * SECONDS + number)
        report = rows.parse((folder / outputs.REPORT).read_bytes())
        assert report["status"] == rows.DONE and report["seconds"] >= SECONDS
    assert not list(out.rglob("*.part")) and not list(out.rglob(outputs.INTENT))


@pytest.mark.slow
def test_every_file_has_its_row(killed):
    from pyarrow import parquet

    found = parquet.read_table(killed[0] / "report.parquet").to_pylist()
    assert len(found) == len({row["input"] for row in found}) == FILES + 1
    states = {row["name"]: row["status"] for row in found}
    assert states.pop("none") == rows.FAILED
    assert set(states.values()) == {rows.DONE, rows.SKIPPED}


@pytest.mark.slow
def test_the_stems_are_those_of_a_single_machine(killed, run_separate):
    out, _ = killed
    source = out.parent / "music/3.wav"
    assert run_separate(source, "--out", "alone", *CHOSEN)[0] == 0
    for stem in ("bass", "drums"):
        here = audio.decode(f"alone/3/{stem}.wav")[0]
        assert np.abs(here - audio.decode(out / f"3/{stem}.wav")[0]).max() <= 2 / 32768
