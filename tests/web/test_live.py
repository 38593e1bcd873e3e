"""Playing along: what can be had of a job while it runs, and of its floats when it is done."""

import asyncio

import numpy as np
import pytest
from separating import noise
from serving import JOBS, listening, path_of
from stored_jobs import ran
from web_workers import Halves, by, ended, sent

from xumx_jax import audio
from xumx_jax.web import sending
from xumx_jax.web.floats import Floats
from xumx_jax.web.jobs import DONE, Live, Result, Stem
from xumx_jax.web.settings import Settings

RATE = 8000


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with listening(tmp_path_factory.mktemp("live") / "jobs") as running:
        yield running


def grows(store, channels=2, frames: int | None = 5000):
    """A job that runs, and what takes its blocks."""
    job = ran(store)

    def ready(count):
        store.grown(job.id, Live(RATE, channels, frames, count, ("a", "b")))

    return job, Floats(store.folder(job.id), ("a", "b"), ready)


def blocks(frames, channels=2, seed=0):
    rng = np.random.default_rng(seed)
    return {name: rng.uniform(-1, 1, (channels, frames)).astype(np.float32) for name in "ab"}


def floats(answer, channels=2):
    assert answer.status == 200 and answer.headers["content-type"] == "application/octet-stream"
    return np.frombuffer(answer.body, "<f4").reshape(-1, channels).T


def done(store, job, channels, frames):
    stems = tuple(Stem(name, 44, 1.0) for name in "ab")
    store.done(job.id, Result(RATE, channels, frames, 0.5, stems))


@pytest.mark.parametrize("channels", [1, 2])
def test_what_is_there_of_a_job_that_runs(server, channels):
    job, writer = grows(server.store, channels)
    address = {"id": job.id}
    assert server.job(job.id)["live"] is None
    first, second = blocks(1300, channels), blocks(900, channels, 1)
    whole = {name: np.concatenate([first[name], second[name]], axis=1) for name in "ab"}
    with writer:
        live = server.job(job.id)["live"]
        assert (live["rate"], live["channels"], live["frames"], live["ready"]) == (
            *(RATE, channels, 5000),
            0,
        )
        stem = live["stems"][0]
        assert stem["name"] == "a" and stem["floats"] == path_of(address, "a", "f32")
        assert server.get(stem["floats"]).body == b"" == server.get(stem["peaks"]).body
        writer(first)
        assert server.job(job.id)["live"]["ready"] == 1300
        for name in "ab":
            got = floats(server.get(path_of(address, name, "f32")), channels)
            np.testing.assert_array_equal(got, first[name])
        peaks = server.get(stem["peaks"])
        assert len(peaks.body) == 2 * 2 and peaks.headers["cache-control"] == "no-cache"
        writer(second)
        got = server.get(stem["floats"], start=1200, frames=500)
        np.testing.assert_array_equal(floats(got, channels), whole["a"][:, 1200:1700])
        assert len(server.get(stem["peaks"]).body) == 2 * 4
    done(server.store, job, channels, 2200)
    found = server.job(job.id)
    assert found["live"] is None and found["stems"][0]["floats"] == stem["floats"]
    np.testing.assert_array_equal(floats(server.get(stem["floats"]), channels), whole["a"])
    assert len(server.get(stem["peaks"]).body) == 2 * 5
    assert server.get(stem["peaks"]).headers["cache-control"] == "private, max-age=3600"


@pytest.mark.parametrize(
    ("query", "status", "code", "says"),
    [
        ({"start": 1301}, 409, "not_done", "start is 1301; the job is running, and 1300 frames"),
        ({"start": 1000, "frames": 301}, 409, "not_done", "frames is 301 from 1000 on; the job"),
        ({"frames": 30 * RATE + 1}, 400, "bad_option", "frames is 240001; wanted at most 240000"),
        ({"start": -1}, 400, "bad_option", "start: "),
        ({"frames": "x"}, 400, "bad_option", "frames: "),
        ({"bits": 16}, 400, "bad_option", "bits: is no parameter; wanted some of start, frames"),
    ],
)
def test_what_is_not_there_yet_and_what_makes_no_sense(server, query, status, code, says):
    job, writer = grows(server.store)
    with writer:
        writer(blocks(1300))
        answer = server.get(path_of({"id": job.id}, "a", "f32"), **query)
        assert (answer.status, answer.code) == (status, code)
        assert answer.json()["error"]["message"].startswith(says)
    server.store.remove(job.id)
    server.store.left(job.id)


def test_a_song_that_is_done_has_an_end(server):
    job, writer = grows(server.store)
    with writer:
        writer(blocks(1300))
    done(server.store, job, 2, 1300)
    path = path_of({"id": job.id}, "a", "f32")
    assert server.get(path, start=1300).body == b""
    answer = server.get(path, start=1301)
    assert (answer.status, answer.code) == (400, "bad_option")
    assert answer.json()["error"]["message"] == "start is 1301; the song has 1300 frames"
    head = server.ask("HEAD", f"{path}?frames=10")
    assert (head.status, head.headers["content-length"], head.body) == (200, "80", b"")
    for name in ("c", "a/../b"):
        assert server.get(path_of({"id": job.id}, name, "f32")).status == 404
    (server.store.folder(job.id) / "a.f32").unlink()
    assert (server.get(path).status, server.get(path).code) == (404, "unknown")


def test_a_job_that_does_not_run_any_more_has_nothing_live(server):
    waiting, writer = grows(server.store)
    with writer:
        writer(blocks(10))
    path = path_of({"id": waiting.id}, "a", "f32")
    server.store.requeue(waiting.id)
    assert server.job(waiting.id)["live"] is None
    assert (server.get(path).status, server.get(path).code) == (409, "not_done")
    server.store.take()
    assert server.job(waiting.id)["live"] is None  # until it has begun again
    server.store.failed(waiting.id, "internal", "why")
    assert server.job(waiting.id)["live"] is None
    assert (server.get(path).status, server.get(path).code) == (409, "failed")
    gone, writer = grows(server.store)
    with writer:
        server.store.remove(gone.id)
        assert server.get(path_of({"id": gone.id}, "a", "f32")).status == 404
    server.store.left(gone.id)


def test_a_link_needs_no_token_for_it(tmp_path):
    with listening(tmp_path / "jobs", token="secret") as server:
        job, writer = grows(server.store)
        with writer:
            writer(blocks(20))
            nobody = {"Authorization": ""}
            for kind in ("f32", "peaks"):
                assert server.get(path_of({"id": job.id}, "a", kind), nobody).status == 200
            assert server.get(f"{JOBS}/{job.id}", nobody).json()["live"]["ready"] == 20


def test_a_job_says_while_it_runs_what_is_there(monkeypatch, tmp_path):
    settings = Settings(tmp_path / "jobs", models=("demo",), min_free_bytes=0)
    seen = []

    def step(callback, length):
        (job,) = store.jobs()
        size = (store.folder(job.id) / "a.f32").stat().st_size
        seen.append((job.live, size))

    audio.encode(tmp_path / "mono.flac", noise(2500)[:1], RATE, "flac")
    with by(monkeypatch, settings, Halves(step)) as (store, _):
        job = ended(store, sent(store, tmp_path / "mono.flac"))
    assert job.state == DONE and job.live is None and job.result.channels == 1
    assert [live.ready for live, _ in seen] == [0, 1000, 2000]
    assert [size for _, size in seen] == [0, 4000, 8000]  # all of it can be read
    live, _ = seen[-1]
    assert (live.rate, live.channels, live.frames, live.stems) == (RATE, 1, 2500, ("a", "b"))


def test_a_file_that_grows_while_it_is_sent_is_as_long_as_was_told(tmp_path):
    path, messages = tmp_path / "a.peaks", []
    path.write_bytes(b"1234")
    response = sending.file(path, None, "application/octet-stream")
    path.write_bytes(b"12345678")

    async def send(message):
        messages.append(message)

    scope = {"type": "http", "method": "GET", "headers": [], "asgi": {"spec_version": "2.4"}}
    asyncio.run(response(scope, None, send))
    assert dict(messages[0]["headers"])[b"content-length"] == b"4"
    assert b"".join(message["body"] for message in messages[1:]) == b"1234"
