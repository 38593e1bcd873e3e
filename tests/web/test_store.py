"""The store of jobs: every change of state, the limits, the order, restarts and expiry."""

import signal
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from xumx_jax.errors import UserError
from xumx_jax.web.database import FILE, Database
from xumx_jax.web.errors import Gone, NoRoom, TooMany
from xumx_jax.web.jobs import (
    DONE,
    EXPIRED,
    FAILED,
    QUEUED,
    RUNNING,
    STATES,
    UPLOADING,
    Options,
    Result,
    Stem,
)
from xumx_jax.web.settings import Settings
from xumx_jax.web.store import INPUT, Store

OPTIONS = Options("demo", stems="a,b", niter=0, format="flac", bits="24")
RESULT = Result(44100, 2, 7, 0.5, (Stem("a", 80, 1.5), Stem("b", 80, 2.0)), -70.0, ("odd",))
KEEP = 100.0


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def settings(tmp_path):
    return Settings(tmp_path / "jobs", keep_seconds=KEEP, long_seconds=600.0, min_free_bytes=0)


@pytest.fixture
def store(settings, clock):
    with Store(settings, clock) as store:
        yield store


def queued(store, name="song", seconds=10.0, client="me"):
    """A job that waits, with its upload."""
    job = store.create(name, OPTIONS, client)
    (store.folder(job.id) / INPUT).write_bytes(b"sound")
    return store.uploaded(job.id, 5, seconds)


def ran(store, **more):
    """A job that runs, with a file that is not complete."""
    queued(store, **more)
    job = store.take()
    (store.folder(job.id) / "a.wav").write_bytes(b"half")
    return job


def names(store):
    return [job.name for job in store.jobs()]


def files_of(store, job):
    return sorted(path.name for path in store.folder(job.id).iterdir())


def test_a_job_from_its_upload_to_its_end(store, clock):
    job = store.create("Song A.mp3", OPTIONS, "127.0.0.1")
    assert (job.state, job.name, job.client, job.options) == (
        *(UPLOADING, "Song A.mp3", "127.0.0.1", OPTIONS),
    )
    assert job.created == 1000 and store.folder(job.id).is_dir()
    assert store.take() is None  # it is not complete
    clock.now = 1001.0
    job = queued_after = store.uploaded(job.id, 12345, 61.5)
    assert (job.state, job.bytes, job.seconds, job.ahead) == (QUEUED, 12345, 61.5, 0)
    job = store.take()
    assert (job.id, job.state, job.started) == (queued_after.id, RUNNING, 1001.0)
    store.progress(job.id, 0.25, 9.0)
    now = store.get(job.id)
    assert (now.progress, now.eta_seconds) == (0.25, 9.0) and now.version > job.version
    clock.now = 1002.0
    store.done(job.id, RESULT)
    job = store.get(job.id)
    assert (job.state, job.result, job.progress) == (DONE, RESULT, 1.0)
    assert (job.ended, job.expires) == (1002.0, 1002.0 + KEEP)
    assert store.counts() == dict.fromkeys(STATES, 0) | {DONE: 1}


def test_the_upload_goes_when_the_job_is_done(store):
    job = ran(store)
    assert files_of(store, job) == ["a.wav", INPUT]
    store.done(job.id, RESULT)
    assert files_of(store, job) == ["a.wav"]


def test_of_a_job_that_failed_the_reason_is_kept_and_no_file(store):
    job = ran(store)
    store.failed(job.id, "too_long", "song: too long")
    found = store.get(job.id)
    assert (found.state, found.error, found.result) == (
        *(FAILED, ("too_long", "song: too long"), None),
    )
    assert not store.folder(job.id).exists() and found.expires == 1000 + KEEP


def test_a_job_that_is_queued_again_keeps_its_place_and_its_upload_alone(store):
    job = ran(store, name="first")
    queued(store, name="second")
    store.progress(job.id, 0.5, 3.0)
    store.requeue(job.id)
    found = store.get(job.id)
    assert (found.state, found.started, found.progress, found.ahead) == (QUEUED, None, 0.0, 0)
    assert files_of(store, job) == [INPUT] and names(store) == ["first", "second"]


@pytest.mark.parametrize("method", ["uploaded", "done", "failed", "requeue", "move"])
def test_a_job_in_another_state_is_not_changed(store, method):
    job = queued(store) if method == "uploaded" else store.create("song", OPTIONS, "me")
    more = {"uploaded": (5, 1.0), "done": (RESULT,), "failed": ("internal", "x"), "move": (None,)}
    before = store.get(job.id)
    with pytest.raises(Gone):
        getattr(store, method)(job.id, *more.get(method, ()))
    assert store.get(job.id) == before


def test_an_upload_that_was_cut_off_leaves_nothing(store):
    job = store.create("song", OPTIONS, "me")
    (store.folder(job.id) / INPUT).write_bytes(b"part")
    store.discard(job.id)
    assert store.get(job.id) is None and not store.folder(job.id).exists()
    store.discard(job.id)
    waiting = queued(store)
    store.discard(waiting.id)  # no upload any more
    assert store.get(waiting.id).state == QUEUED and store.folder(waiting.id).is_dir()


def test_removing_a_job_removes_everything_and_twice_is_none(store):
    for job in (store.create("song", OPTIONS, "me"), queued(store)):
        assert store.remove(job.id) and not store.remove(job.id)
        assert store.get(job.id) is None and not store.folder(job.id).exists()
    done = ran(store)
    store.done(done.id, RESULT)
    assert store.remove(done.id) and not store.folder(done.id).exists()
    assert not store.remove("0" * 32)


def test_a_job_that_is_removed_while_it_runs_goes_when_its_thread_stops(store):
    job = ran(store)
    assert not store.cancelled(job.id)
    assert store.remove(job.id) and store.cancelled(job.id) and store.get(job.id) is None
    store.sweep()
    assert store.folder(job.id).is_dir()  # its thread still writes there
    with pytest.raises(Gone):
        store.done(job.id, RESULT)
    store.left(job.id)
    assert not store.folder(job.id).exists() and not store.cancelled(job.id)


@pytest.mark.parametrize("id", ["", "..", "../" * 10 + "ab", "A" * 32, "0" * 31, "0" * 32 + "\n"])
def test_what_is_no_id_never_becomes_a_path(store, id):
    with pytest.raises(Gone):
        store.folder(id)
    assert store.get(id) is None


def test_ids_are_random_and_the_folder_is_the_users_alone(store, settings):
    ids = {store.create("song", OPTIONS, "me").id for _ in range(3)}
    assert len(ids) == 3 and all(len(id) == 32 for id in ids)
    assert settings.folder.stat().st_mode & 0o777 == 0o700
    assert {path.name for path in settings.folder.iterdir() if path.is_dir()} == ids


def test_the_queue_is_limited_and_so_is_each_client(tmp_path):
    settings = Settings(tmp_path, max_queue=3, max_per_client=2, min_free_bytes=0)
    with Store(settings) as store:
        queued(store)
        uploading = store.create("song", OPTIONS, "me")
        with pytest.raises(TooMany, match="2 of your jobs"):
            store.create("song", OPTIONS, "me")
        queued(store, client="you")
        with pytest.raises(TooMany, match="3 jobs wait"):
            store.create("song", OPTIONS, "they")
        store.discard(uploading.id)
        running = ran(store)  # it does not wait, but is of a client's
        with pytest.raises(TooMany, match="2 of your jobs"):
            store.create("song", OPTIONS, "me")
        store.done(running.id, RESULT)
        assert store.create("song", OPTIONS, "me").state == UPLOADING


def test_no_job_is_begun_on_a_full_disk(tmp_path):
    with Store(Settings(tmp_path, min_free_bytes=1 << 62)) as store:
        with pytest.raises(NoRoom, match="disk is full"):
            store.create("song", OPTIONS, "me")
        assert store.jobs() == []


def test_jobs_come_in_the_order_in_which_they_were_complete(store):
    late = store.create("late", OPTIONS, "me")
    first, second = queued(store, "first"), queued(store, "second")
    store.uploaded(late.id, 5, 1.0)
    assert names(store) == ["first", "second", "late"]
    assert [job.ahead for job in store.jobs()] == [0, 1, 2]
    assert store.get(late.id).ahead == 2 and store.get(second.id).ahead == 1
    assert store.take().id == first.id
    assert store.get(second.id).ahead == 1  # what runs is before it


def test_reordering(store):
    a, b, c = (queued(store, name) for name in "abc")
    assert store.move(c.id, a.id).ahead == 0 and names(store) == ["c", "a", "b"]
    store.move(c.id, None)
    assert names(store) == ["a", "b", "c"]
    store.move(a.id, c.id)
    assert names(store) == ["b", "a", "c"]
    assert store.move(a.id, a.id).ahead == 1 and names(store) == ["b", "a", "c"]
    with pytest.raises(Gone):
        store.move(a.id, "0" * 32)
    assert names(store) == ["b", "a", "c"]
    assert [store.take().name for _ in range(3)] == ["b", "a", "c"]


def test_a_job_that_ran_comes_back_to_its_place_whatever_was_moved(store):
    job = ran(store, name="ran")
    a, b = queued(store, "a"), queued(store, "b")
    store.move(b.id, a.id)
    store.requeue(job.id)
    assert names(store) == ["ran", "b", "a"]


def test_running_jobs_come_first_and_the_newest_of_the_others_before_older_ones(store, clock):
    for name in ("old", "new"):
        clock.now += 1
        store.done(ran(store, name=name).id, RESULT)
    store.create("upload", OPTIONS, "me")
    queued(store, "a")
    assert store.take().name == "a"
    queued(store, "b")
    assert names(store) == ["a", "b", "upload", "new", "old"]


def test_short_jobs_can_be_taken_alone(store):
    long, unknown = queued(store, "long", 601.0), queued(store, "unknown", None)
    nothing, short = queued(store, "none", 0.0), queued(store, "short", 600.0)
    assert [store.is_long(job) for job in (long, unknown, nothing, short)] == [
        *(True, True, True, False),
    ]
    assert store.take(long_too=False).id == short.id
    assert store.take(long_too=False) is None
    assert store.take().id == long.id


def test_a_version_grows_with_every_change_also_of_what_is_before(store):
    first, second = queued(store), queued(store)
    seen = [store.get(second.id).version]
    store.take()
    store.done(first.id, RESULT)
    seen.append(store.get(second.id).version)
    store.take()
    seen.append(store.get(second.id).version)
    store.progress(second.id, 0.5, None)
    seen.append(store.get(second.id).version)
    assert store.get(second.id).version == seen[-1]
    store.done(second.id, RESULT)
    seen.append(store.get(second.id).version)
    assert seen == sorted(set(seen))


def test_results_are_kept_for_a_time_and_then_said_to_have_been_there(store, clock):
    job, failed = ran(store), ran(store)
    store.done(job.id, RESULT)
    store.failed(failed.id, "internal", "x")
    clock.now += KEEP - 1
    store.sweep()
    assert store.get(job.id).state == DONE and store.get(failed.id).state == FAILED
    clock.now += 1
    store.sweep()
    found = store.get(job.id)
    assert (found.state, found.result, found.name) == (EXPIRED, None, "song")
    assert not store.folder(job.id).exists() and store.get(failed.id) is None
    clock.now += KEEP - 1
    store.sweep()
    assert store.get(job.id).state == EXPIRED
    clock.now += 1
    store.sweep()
    assert store.get(job.id) is None and store.jobs() == []


def test_what_waits_or_runs_does_not_expire(store, clock):
    running = ran(store)
    jobs = [running, queued(store), store.create("song", OPTIONS, "me")]
    clock.now += 10 * KEEP
    store.sweep()
    assert {job.id for job in store.jobs()} == {job.id for job in jobs}
    assert all(store.folder(job.id).is_dir() for job in jobs)


def test_a_restart_in_each_state(settings, clock):
    with Store(settings, clock) as store:
        done, failed, removed = ran(store), ran(store), ran(store)
        store.done(done.id, RESULT)
        (store.folder(done.id) / ".a.flac.1-2.part").write_bytes(b"half")
        store.failed(failed.id, "internal", "x")
        store.remove(removed.id)  # and its thread is killed
        ran(store, name="first")
        second, third = ran(store, name="second"), queued(store, "third")
        upload = store.create("upload", OPTIONS, "me")
        done, failed = store.get(done.id), store.get(failed.id)
    with Store(settings, clock) as store:
        assert replace(store.get(done.id), version=0) == replace(done, version=0, eta_seconds=None)
        assert store.get(failed.id).error == failed.error
        assert files_of(store, done) == ["a.wav"]
        for job in (upload, removed):
            assert store.get(job.id) is None and not store.folder(job.id).exists()
        queue = [job for job in store.jobs() if job.state == QUEUED]
        assert [job.name for job in queue] == ["first", "second", "third"]
        assert [(job.ahead, job.started) for job in queue] == [(0, None), (1, None), (2, None)]
        assert files_of(store, second) == files_of(store, third) == [INPUT]


def test_rows_without_folders_and_folders_without_rows_go(settings, clock):
    with Store(settings, clock) as store:
        jobs = [ran(store), queued(store), queued(store)]
        for job in jobs:
            store.folder(job.id).rename(settings.folder / f"{job.id}-elsewhere")
        orphan, other = settings.folder / ("0" * 32), settings.folder / "of-the-user"
        for folder in (orphan, other):
            folder.mkdir()
            (folder / "file").write_bytes(b"")
        store.sweep()
        assert store.jobs() == [] and not orphan.exists()
        assert (other / "file").exists()  # what is not ours stays
    with Store(settings, clock) as store:
        running = ran(store)
        store.folder(running.id).rename(settings.folder / "elsewhere")
    with Store(settings, clock) as store:
        assert store.jobs() == []


def test_a_folder_belongs_to_one_server(settings, store):
    with pytest.raises(UserError, match="another server uses this folder"):
        Store(settings).__enter__()
    assert store.jobs() == []


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match="file.jobs: cannot be used for jobs: Not a directory"):
        Store(Settings(tmp_path / "file" / "jobs")).__enter__()


def test_a_damaged_database_and_one_of_a_newer_version(settings):
    settings.folder.mkdir()
    (settings.folder / FILE).write_bytes(b"no database at all" * 100)
    with pytest.raises(UserError, match=f"{FILE}: cannot be used .file is not a database."):
        Store(settings).__enter__()
    (settings.folder / FILE).unlink()
    with closing(Database(settings.folder)) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(UserError, match="has version 99, and this program knows version 1"):
        Store(settings).__enter__()


def test_a_transaction_that_fails_changes_nothing(settings):
    settings.folder.mkdir()
    with closing(Database(settings.folder)) as database:
        with pytest.raises(KeyError), database.transaction():
            database.execute(
                "INSERT INTO jobs (id, state, place, name, client, options, created) "
                "VALUES ('a', 'queued', 0, '', '', '{}', 0)"
            )
            raise KeyError
        assert database.read("SELECT id FROM jobs") == []


def test_a_full_disk_is_said_to_be_one(settings):
    settings.folder.mkdir()
    with closing(Database(settings.folder)) as database:
        pages = database.read("PRAGMA page_count")[0][0]
        database.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(NoRoom, match="disk is full"), database.transaction():
            database.execute(
                "INSERT INTO jobs (id, state, place, name, client, options, created) "
                "VALUES ('a', 'queued', 0, ?, '', '{}', 0)",
                "x" * 100_000,
            )
        assert database.read("SELECT id FROM jobs") == []


KILLED = """
import os, signal, sys
from pathlib import Path
from xumx_jax.web.jobs import Options
from xumx_jax.web.settings import Settings
from xumx_jax.web.store import Store

with Store(Settings(Path(sys.argv[1]), min_free_bytes=0)) as store:
    for state in ("running", "queued", "uploading"):
        job = store.create(state, Options("demo"), "me")
        (store.folder(job.id) / "input").write_bytes(b"sound")
        if state != "uploading":
            store.uploaded(job.id, 5, 1.0)
    job = store.take()
    (store.folder(job.id) / ".vocals.wav.1-2.part").write_bytes(b"half")
    assert "jax" not in sys.modules
    print("ready", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_server_loses_no_job_and_leaves_nothing_half_written(settings):
    root = Path(__file__).parents[2]
    found = subprocess.run(
        [sys.executable, "-c", KILLED, settings.folder], cwd=root, capture_output=True, text=True
    )
    assert found.returncode == -signal.SIGKILL and found.stdout == "ready\n", found.stderr
    with Store(settings) as store:
        assert [(job.name, job.state) for job in store.jobs()] == [
            *(("running", QUEUED), ("queued", QUEUED)),
        ]
        assert all(files_of(store, job) == [INPUT] for job in store.jobs())
        folders = [path for path in settings.folder.iterdir() if path.is_dir()]
        assert len(folders) == 2
