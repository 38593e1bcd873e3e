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
    for name in ("cluster", "serve", "long", "worker"):
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


def test_figures_are_rounded(cluster):
    assert cluster.rounded({"a": {"b": 1.23456}}) == {"a": {"b": 1.235}}
