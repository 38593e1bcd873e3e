"""A job's event stream: what it says, when it ends, and that nothing depends on its readers."""

import contextlib
import time

import pytest
from serving import JOBS, clip, listening

from xumx_jax.web.routes import events


@pytest.fixture(scope="module")
def idle(tmp_path_factory):
    with listening(tmp_path_factory.mktemp("events") / "data", max_streams=3) as running:
        yield running


def queued(server):
    return server.send(clip(0.05)).json()["id"]


@pytest.mark.slow
def test_a_stream_follows_a_job_to_its_end(server):
    id = server.send(clip(2.0)).json()["id"]
    seen = [data for _, data in server.events(id)]
    states = list(dict.fromkeys(job["state"] for job in seen))
    assert states == [s for s in ("queued", "running", "done") if s in states]
    assert states[-1] == "done" and seen[-1] == server.job(id)
    progress = [job["progress"] for job in seen]
    assert progress == sorted(progress) and progress[-1] == 1


def test_every_change_is_told_and_the_removal_too(idle):
    first, second = queued(idle), queued(idle)
    stream = idle.events(second)
    assert next(stream)[1]["ahead"] == 1
    assert idle.ask("DELETE", f"{JOBS}/{first}").status == 202
    assert next(stream)[1]["ahead"] == 0
    assert idle.store.take(long_too=True).id == second
    idle.store.progress(second, 0.25, 3.0)
    for _, job in stream:
        if job["progress"]:
            break
    assert (job["state"], job["progress"], job["eta_seconds"]) == ("running", 0.25, 3.0)
    assert idle.ask("DELETE", f"{JOBS}/{second}").status == 202
    assert [data for _, data in stream] == [{}]
    idle.store.left(second)


def test_changes_come_at_most_five_a_second(idle):
    id = queued(idle)
    while idle.store.take(long_too=True).id != id:
        pass
    stream, begin, count = idle.events(id), time.monotonic(), 0
    next(stream)
    while time.monotonic() < begin + 1:
        idle.store.progress(id, 0.1, time.monotonic())
        next(stream)
        count += 1
    assert 1 <= count <= 6
    idle.store.failed(id, "cut_off", "ends")
    assert [job["state"] for _, job in stream][-1] == "failed"


def test_a_heartbeat_comes_when_nothing_happens(idle, monkeypatch):
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.1)
    id = queued(idle)
    stream = idle.events(id)
    assert next(stream)[1]["id"] == id and next(stream) is None
    stream.close()
    idle.store.remove(id)


def test_a_closed_stream_cancels_nothing(idle):
    id = queued(idle)
    stream = idle.events(id)
    next(stream)
    assert sum(idle.shared.streams.values()) >= 1
    stream.close()
    end = time.monotonic() + 5
    while idle.shared.streams:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert idle.job(id)["state"] == "queued"
    idle.store.remove(id)


def test_a_client_has_some_streams_and_no_more(idle):
    id = queued(idle)
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stream = stack.enter_context(contextlib.closing(idle.events(id)))
            next(stream)
        answer = idle.get(f"{JOBS}/{id}/events")
        assert (answer.status, answer.code) == (429, "too_many_streams")
    idle.store.remove(id)


def test_who_has_read_the_end_is_told_that_no_more_comes(server, done):
    ((key, _),) = server.events(done["id"])
    address = f"{JOBS}/{done['id']}/events"
    answer = server.get(address, {"Last-Event-ID": key})
    assert (answer.status, answer.body) == (204, b"")
    assert server.get(address, {"Last-Event-ID": "running-1"}).status == 200
    head = server.ask("HEAD", address)
    assert head.status == 200 and head.headers["content-type"].startswith("text/event-stream")


def test_streams_end_when_the_server_is_stopped(tmp_path):
    with listening(tmp_path / "data") as server:
        stream = server.events(queued(server))
        next(stream)
        begin = time.monotonic()
        server.shared.draining.set()
        assert list(stream) == [] and time.monotonic() - begin < 2
