"""`make bench-serve`: what it measures, with servers and clients that are counted."""

import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture
def serve(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    import serve

    yield serve
    for name in ("serve", "long", "worker"):
        sys.modules.pop(name, None)


def test_memory_is_that_of_the_last_requests_over_the_first(serve, monkeypatch, tmp_path):
    sizes = iter([100.0, 120.0, 500.0, 110.0, 121.0])
    monkeypatch.setattr(serve, "resident_mib", lambda number: next(sizes))
    monkeypatch.setattr(serve, "timed", lambda *_: 1.0)
    found = serve.measure_memory(1, None, tmp_path, 5, 2)
    assert found == {"memory_ratio": 115.5 / 110, "first_mib": 110.0, "last_mib": 115.5}


def test_a_wait_is_what_a_clip_takes_longer_behind_a_long_song(serve, monkeypatch, tmp_path):
    class Client:
        states = ["queued", "running", "running"]

        def send(self, path):
            return {"id": path.name}

        def job(self, id):
            return {"state": self.states.pop(0)}

        def remove(self, id):
            self.removed = id

    took = iter([3.0, 1.0, 2.0, 6.5])
    monkeypatch.setattr(serve, "timed", lambda *_: next(took))
    client = Client()
    found = serve.measure_wait(client, tmp_path, 0.5)
    assert found == {"wait_seconds": 4.5, "alone_seconds": 2.0, "behind_seconds": 6.5}
    assert client.removed == "long.wav" and client.states == []
