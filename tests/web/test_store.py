"""The store of jobs: every change of state, the limits, the order."""

import pytest
from stored_jobs import KEEP, OPTIONS, RESULT, files_of, names, queued, ran

from xumx_jax.web.errors import Gone, NoRoom, TooMany
from xumx_jax.web.jobs import DONE, FAILED, QUEUED, RUNNING, STATES, UPLOADING
from xumx_jax.web.settings import Settings
from xumx_jax.web.store import INPUT, Store


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
