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
# The command line in a process whose packages seem to be others.
SKEWED = """
import sys
from xumx_jax import cli
from xumx_jax.commands import ray_pool
versions = ray_pool.versions()
ray_pool.versions = lambda: {**versions, "jax": "0.1"}
sys.exit(cli.main(sys.argv[1:]))
"""
CHOSEN = ("--stems", "bass,drums", "--shifts", "4")  # slow enough to be killed in time


def runs(place, tiny_model) -> tuple[list[dict], list[dict]]:
    """Separate twice on a cluster, killing on the way -> these runs, and what was refused before.

    What is refused: a model that only the driver sees, and a driver with other versions.
    """
    (place / "music").mkdir()
    lines = ["path"]
    for number in range(FILES):
        write(place / f"music/{number}.wav", noise(RATE * SECONDS + number))
        lines.append(f"music/{number}.wav")
    (place / "all.csv").write_text("\n".join([*lines, "music/none.wav"]) + "\n")
    program = [sys.executable, str(ROOT / "separate.py")]
    rest = ["--manifest", str(place / "all.csv"), "--out", str(place / "out")]
    rest += ["--runner", "ray", "--address", "{address}", *CHOSEN]
    plan = {
        "refused": [
            [*program, "--model", f"{{hidden}}/{tiny_model.name}", *rest],
            [sys.executable, "-c", SKEWED, "separate", "--model", str(tiny_model), *rest],
        ],
        "hidden": str(tiny_model.parent),
        "command": [*program, "--model", str(tiny_model), *rest],
        "machines": 2,
        "out": str(place / "out"),
        "runs": [[[2, "driver"]], [[4, "machine"], [7, "worker"]]],
    }
    (place / "plan.json").write_text(json.dumps(plan))
    found = ray_cluster.start(place / "plan.json", LIMIT_SECONDS)
    return found["runs"], found["refused"]


@pytest.mark.slow
def test_nothing_is_lost_with_a_driver_a_machine_and_a_worker(tmp_path, tiny_model, run_separate):
    # one test, since a cluster takes long to start
    (first, second), refused = runs(tmp_path, tiny_model)
    check_refused(refused, tiny_model.name)
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


def check_refused(refused, name):
    """Each is one line, which names the machine, and status 2; the cluster goes on."""
    lines = [one["lines"] for one in refused]
    assert [(one["status"], len(one["lines"])) for one in refused] == [(2, 1)] * 2, lines
    ((hidden,), (skewed,)) = lines
    assert ": has no /proc/self/fd/" in hidden and f"{name}; wanted the model in" in hidden
    assert "jax is " in skewed and skewed.endswith(
        ", and 0.1 here; wanted the same on all machines"
    )


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
