"""`make bench-cluster`: what it makes of the times of files."""

import json
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def cluster(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    import cluster

    yield cluster
    for name in ("cluster", "serve", "long", "worker", "scale_arithmetic", "simulate_scale"):
        sys.modules.pop(name, None)


@pytest.fixture
def found(tmp_path):
    """Eight files, one every second from the third on; each took 1.5 s. The last two were lost."""
    for number, ended in enumerate((3, 4, 9, 10, 5, 6, 7, 8)):
        folder = tmp_path / str(number)
        folder.mkdir()
        report = {"took_seconds": 1.5, "name": str(number)}
        (folder / "separation-report.json").write_text(json.dumps(report))
        (folder / ".separation.json").touch()
        os.utime(folder / ".separation.json", (100 + ended, 100 + ended))
    return {"out": tmp_path, "began": 100.0, "killed": [{"done": 2, "after": 4.5}]}


def test_a_file_a_second_by_two_workers_leaves_each_idle_for_half_a_second(cluster, found):
    assert cluster.per_file(found) == 1.0
    assert cluster.idle(found, 2) == 0.5


def test_recovery_ends_with_what_had_been_sent(cluster, found):
    assert cluster.recovery(found) == 5.5


def test_a_worker_alone_by_hand(cluster, tmp_path, monkeypatch):
    """A file takes 0.5 s and 0.1 s for each second of music; the first of a length, 3 s more."""

    def loop(music, out, core):
        assert core == min(os.sched_getaffinity(0)) and len(list(music.iterdir())) == 6
        at = 0
        for number in range(6):
            at += 0.5 + 0.1 * cluster.LENGTHS[number // 3] + (3 if number % 3 == 0 else 0)
            folder = out / f"{number:02d}"
            folder.mkdir(parents=True)
            report = {"took_seconds": 1.0, "name": f"{number:02d}"}
            (folder / "separation-report.json").write_text(json.dumps(report))
            (folder / ".separation.json").touch()
            os.utime(folder / ".separation.json", (at, at))
        return {"out": out, "began": 0.0}

    monkeypatch.setattr(cluster, "loop", loop)
    monkeypatch.setattr(cluster, "write_song", lambda path, *_: path.touch())
    alone = cluster.worker(tmp_path, 3)
    assert alone == pytest.approx({"speed": 10.0, "overhead_seconds": 0.5})
    found = cluster.arithmetic(alone, 0.4, 2)
    assert found == pytest.approx({"predicted": 0.5, "measured": 0.4, "error": 0.25})


def test_the_table_is_what_the_simulation_reads(cluster, monkeypatch):
    import simulate_scale

    of_both = {"loop": 1.0, "cluster": 0.5}
    found = {f"{name}_seconds": of_both for name in ("per_file", "idle", "start")}
    found |= dict.fromkeys(("recovery_seconds", "killed_extra_seconds", "worker_mib"), 7.0)
    found |= {"worker": {"speed": 10.0, "overhead_seconds": 0.0625}}
    found |= {"host": {"decode_seconds": 0.08, "encode_seconds": 0.13}}
    found |= {"arithmetic": {"predicted": 0.5, "measured": 0.4, "error": 0.25}}
    text = cluster.table(found)
    assert "| from one file to the next, after the first quarter | 1.00 s | 0.50 s |" in text
    assert "| 0.50 s, error +25 % |" in text
    monkeypatch.setattr(simulate_scale, "results", lambda: text)
    assert list(map(simulate_scale.measured_seconds, simulate_scale.MEASURED)) == [
        0.062,
        0.08,
        0.13,
    ]
    monkeypatch.undo()
    assert min(map(simulate_scale.measured_seconds, simulate_scale.MEASURED)) > 0  # of RESULTS.md


def test_a_minute_of_music_is_decoded_and_encoded(cluster, tmp_path, monkeypatch):
    write = cluster.write_song
    monkeypatch.setattr(cluster, "write_song", lambda path, seconds, seed: write(path, 1, seed))
    found = cluster.host(tmp_path)
    assert set(found) == {"decode_seconds", "encode_seconds"} and 0 < min(found.values())


def test_figures_are_rounded(cluster):
    assert cluster.rounded({"a": {"b": 1.23456}}) == {"a": {"b": 1.235}}
