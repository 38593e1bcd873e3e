"""The bundled clip as a job of nobody: when it is made, and that it disturbs nobody."""

from contextlib import contextmanager
from dataclasses import replace

import pytest
from serving import JOBS, clip, listening
from stored_jobs import OPTIONS, queued
from web_workers import MADE, Halves, until, working

from xumx_jax import assets
from xumx_jax.web import example
from xumx_jax.web.errors import TooMany
from xumx_jax.web.jobs import DONE, EXAMPLE, QUEUED
from xumx_jax.web.settings import Settings
from xumx_jax.web.store import INPUT, Store


@pytest.fixture
def settings(tmp_path):
    return Settings(tmp_path / "jobs", models=("demo",), min_free_bytes=0, example=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(MADE, lambda bag, **options: Halves())


@contextmanager
def started(settings):
    """A store as a server starts it, and its example once that is done."""
    with Store(settings) as store:
        example.tidy(store)
        with working(store):
            yield store, made(store)


def examples(store):
    return [job for job in store.jobs() if job.example]


def made(store):
    """The example, once it is done."""
    return until(lambda: next((job for job in examples(store) if job.state == DONE), None))


def test_it_is_made_once_and_survives_restarts(settings):
    with started(settings) as (store, job):
        assert (job.name, job.state, job.client, job.options.model) == (
            *("Example", DONE, EXAMPLE),
            assets.DEMO,
        )
        assert job.expires is None and job.seconds == 12 and job.result.frames == 12 * 44100
        until(lambda: not (store.folder(job.id) / INPUT).exists())
    with started(replace(settings, keep_seconds=0)) as (store, again):
        assert again == replace(job, version=again.version)
        store.sweep()
        assert examples(store)
        example.offer(store)
        assert len(store.jobs()) == 1


def changed_stem(store, job, monkeypatch):
    with (store.folder(job.id) / "a.f32").open("r+b") as file:
        file.write(b"1234")


def lost_file(store, job, monkeypatch):
    (store.folder(job.id) / "a.peaks").unlink()


def lost_folder(store, job, monkeypatch):
    for path in store.folder(job.id).iterdir():
        path.unlink()
    store.folder(job.id).rmdir()


def other_clip(store, job, monkeypatch):
    other = store.settings.folder.parent / "other.wav"
    other.write_bytes(clip(0.3))
    monkeypatch.setattr(assets, "DEMO_CLIP", other)


def other_program(store, job, monkeypatch):
    monkeypatch.setattr(example, "own", lambda: "99")


@pytest.mark.parametrize(
    "damage", [changed_stem, lost_file, lost_folder, other_clip, other_program]
)
def test_it_is_made_again(settings, monkeypatch, damage):
    with started(settings) as (store, job):
        pass
    with Store(settings) as store:
        damage(store, job, monkeypatch)
    with started(settings) as (store, again):
        assert again.id != job.id and again.state == DONE
        assert not store.folder(job.id).exists()


def test_one_of_another_model_goes(settings, monkeypatch, tmp_path):
    with started(settings) as (store, job):
        example.tidy(store)
        assert examples(store) == [job]
        (tmp_path / "other").write_bytes(b"another model")
        monkeypatch.setattr(assets, "DEMO_FILE", tmp_path / "other")
        example.tidy(store)
        assert not examples(store)


def test_who_does_not_want_it_has_none(settings):
    with started(settings) as (_, job):
        pass
    with Store(replace(settings, example=False)) as store:
        example.tidy(store)
        example.offer(store)
        assert not store.jobs() and not store.folder(job.id).exists()


def test_one_that_a_killed_server_left_is_made_again(settings):
    with Store(settings) as store:
        example.offer(store)
        left = store.take()
        assert left.example
    with started(settings) as (_, job):
        assert job.id != left.id


def test_it_comes_after_the_jobs_of_all_clients_and_is_not_counted(settings):
    with Store(replace(settings, max_queue=2)) as store:
        example.offer(store)
        (it,) = examples(store)
        first, second = queued(store, name="first"), queued(store, name="second")
        with pytest.raises(TooMany):
            store.create("third", OPTIONS, "me")
        assert [job.ahead for job in (first, second)] == [0, 1] and store.get(it.id).ahead == 2
        store.move(first.id, None)  # to the end, but the example stays behind it
        assert [job.name for job in store.jobs()] == ["second", "first", "Example"]
        assert store.counts()[QUEUED] == 2
        for name in ("second", "first", "Example"):
            assert store.take().name == name


def test_it_fails_without_a_trace(settings, monkeypatch, caplog):
    def fails(callback, length):
        raise KeyError("why")

    with Store(settings) as store:
        monkeypatch.setattr(MADE, lambda bag, **options: Halves(fails))
        with working(store):
            until(lambda: "a job failed" in caplog.text and not store.jobs())


def test_without_room_there_is_none(settings, caplog):
    with Store(replace(settings, min_free_bytes=1 << 62)) as store:
        example.offer(store)
        assert not store.jobs() and "there is no example: the server's disk" in caplog.text


def test_the_model_that_clients_use_stays_loaded(settings, tmp_path, monkeypatch):
    """The example does not take its place, though the server does not offer the bundled model."""
    (tmp_path / "mine.safetensors").write_bytes(assets.DEMO_FILE.read_bytes())
    settings = replace(settings, models=(str(tmp_path / "mine.safetensors"),))
    with Store(settings) as store, working(store) as workers:
        assert made(store).result.stems and workers.ready()["models"] == ["mine"]


def test_over_http_it_is_told_and_stays(tmp_path):
    with listening(tmp_path / "jobs", example=True) as server:
        example.offer(server.store)
        other = server.send(clip(0.05)).json()
        (it,) = [job for job in server.get(JOBS).json()["jobs"] if job["example"]]
        assert not other["example"] and it["name"] == "Example" and it["ahead"] == 1
        answer = server.ask("DELETE", f"{JOBS}/{it['id']}")
        assert (answer.status, answer.code) == (409, "example")
        assert server.ask("POST", f"{JOBS}/{it['id']}/move").code == "not_queued"
        assert server.ask("DELETE", f"{JOBS}/{other['id']}").status == 202


def test_no_clients_address_is_that_of_the_example(tmp_path):
    with listening(tmp_path / "jobs", proxies=("*",)) as server:
        for sent_for in ("example,", "example", EXAMPLE + "10.0.0.1"):
            job = server.send(clip(0.05), headers={"X-Forwarded-For": sent_for}).json()
            assert not job["example"]
