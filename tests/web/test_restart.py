"""What the store of jobs does about time, kills and full disks."""

import signal
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from stored_jobs import KEEP, OPTIONS, RESULT, files_of, queued, ran

from xumx_jax.errors import UserError
from xumx_jax.web.database import FILE, Database
from xumx_jax.web.errors import NoRoom
from xumx_jax.web.jobs import DONE, EXPIRED, FAILED, QUEUED
from xumx_jax.web.settings import Settings
from xumx_jax.web.store import INPUT, Store


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


def test_a_job_that_kills_the_server_again_and_again_is_given_up(settings, clock):
    with Store(settings, clock) as store:
        job = ran(store)
    for _ in range(2):
        with Store(settings, clock) as store:
            assert store.take().id == job.id
            store.requeue(job.id)  # stopped in good order, which does not count
        with Store(settings, clock) as store:
            assert store.take().id == job.id
    with Store(settings, clock) as store:
        found = store.get(job.id)
        assert (found.state, found.error) == (
            *(FAILED, ("internal", "the server was killed 3 times while it did this job")),
        )
        assert not store.folder(job.id).exists() and store.take() is None


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
