"""The threads that do the jobs: what becomes of each, and that long ones let short ones pass."""

import errno
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from separating import noise
from web_workers import MADE, RATE, Halves, by, ended, sent, until, working

from xumx_jax import audio
from xumx_jax.audio import formats
from xumx_jax.errors import UserError
from xumx_jax.web.floats import read_tags
from xumx_jax.web.jobs import DONE, FAILED, QUEUED, RUNNING, Options
from xumx_jax.web.settings import Settings
from xumx_jax.web.store import INPUT, Store
from xumx_jax.web.worker import Workers


@pytest.fixture
def settings(tmp_path):
    return Settings(tmp_path / "jobs", models=("demo",), min_free_bytes=0, long_seconds=1.0)


def test_a_job_is_done(monkeypatch, settings, tmp_path):
    source = tmp_path / "song.flac"
    tags = audio.Tags({"title": "A", "artist": "B"})
    audio.encode(source, noise(5000) * 2, RATE, "flac", tags=tags)
    with by(monkeypatch, settings, Halves()) as (store, _):
        job = ended(store, sent(store, source, Options("demo", two_stems="a")))
        assert (job.state, job.progress, job.error) == (DONE, 1.0, None)
        result, folder = job.result, store.folder(job.id)
        assert (result.rate, result.channels, result.frames) == (RATE, 2, 5000)
        assert [stem.name for stem in result.stems] == ["a", "rest"] and result.warnings == ()
        until(lambda: not (folder / INPUT).exists())
        assert sorted(path.name for path in folder.iterdir()) == sorted(
            f"{name}.{kind}" for name in ("a", "rest") for kind in ("f32", "peaks", "wav")
        ) + ["tags.json"]
        assert read_tags(folder) == audio.read_tags(source)
        mix, _ = audio.decode(source)
        for stem in result.stems:
            floats = np.fromfile(folder / f"{stem.name}.f32", "<f4").reshape(-1, 2)
            np.testing.assert_allclose(floats.T, mix / 2, atol=1e-6)
            assert stem.peak == np.abs(floats).max()
            assert (folder / f"{stem.name}.peaks").stat().st_size == 2 * 10
            data = (folder / f"{stem.name}.wav").read_bytes()[stem.offset :]
            written = np.frombuffer(data, "<i2", 10_000).reshape(-1, 2)
            np.testing.assert_array_equal(written, np.rint(floats * 2.0**15))


def test_samples_beyond_full_scale_are_attenuated_and_a_warning_says_so(monkeypatch, settings):
    class Loud(Halves):
        def stream(self, *arguments):
            for block in super().stream(*arguments):
                yield {name: stem * np.float32(8) for name, stem in block.items()}

    with by(monkeypatch, settings, Loud()) as (store, _):
        job = ended(store, sent(store, 0.2))
        peak = max(stem.peak for stem in job.result.stems)
        assert peak > 1 and job.result.gain == 1 / peak
        assert "times full scale" in job.result.warnings[0]


@pytest.mark.parametrize(
    ("source", "options", "code", "says"),
    [
        (0.2, Options("demo", stems="x"), "bad_input", "unknown stem 'x'; the model has a, b"),
        (0.2, Options("none"), "no_model", "unknown model 'none'; known: demo"),
        (b"no audio at all", Options("demo"), "not_audio", "song.wav: "),
    ],
)
def test_a_job_that_cannot_be_done(monkeypatch, settings, source, options, code, says):
    with by(monkeypatch, settings, Halves()) as (store, _):
        job = ended(store, sent(store, source, options))
        assert job.state == FAILED and job.error[0] == code and job.error[1].startswith(says)
        assert str(settings.folder) not in job.error[1] and f"/{INPUT}" not in job.error[1]
        until(lambda: not store.folder(job.id).exists())
        assert ended(store, sent(store, 0.1)).state == DONE  # the thread goes on


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeyError("in /srv/jobs"), "internal"),
        (MemoryError(), "out_of_memory"),
        (UserError("{folder}/a.wav: cannot be written: x"), "bad_input"),
        (OSError(errno.ENOSPC, "No space left"), "no_room"),
    ],
)
def test_an_error_ends_its_job_and_the_log_tells_programmers(
    monkeypatch, settings, caplog, error, code
):
    def step(callback, length):
        if isinstance(error, UserError):
            raise UserError(str(error).format(folder=settings.folder))
        with formats.named(settings.folder / "a.wav"):  # as where stems are written
            raise error

    with by(monkeypatch, settings, Halves(step)) as (store, _):
        with caplog.at_level(logging.ERROR):
            job = ended(store, sent(store, 0.2))
        assert job.error[0] == code and "/" not in job.error[1]
        logged = [record for record in caplog.records if record.exc_info]
        assert len(logged) == (code in ("internal", "out_of_memory"))
        assert "song.wav" not in caplog.text


def test_a_disk_that_fills_up(monkeypatch, settings):
    with by(monkeypatch, settings, Halves()) as (store, _):
        job = store.create("song.wav", Options("demo"), "me")
        soundfile.write(store.folder(job.id) / INPUT, noise(20_000).T, RATE, "PCM_16", format="WAV")
        (store.folder(job.id) / "b.f32").symlink_to("/dev/full")
        job = ended(store, store.uploaded(job.id, 5, 1.0))
        assert job.error == ("no_room", "the stems cannot be kept: No space left on device")


def test_a_job_that_is_removed_stops_and_the_next_one_begins(monkeypatch, settings):
    removed = []

    def step(callback, length):
        if not removed:
            (job,) = store.jobs()
            removed.append(job.id)
            assert store.remove(job.id)
            assert store.folder(job.id).is_dir()

    with by(monkeypatch, settings, Halves(step)) as (store, _):
        first = sent(store, 0.5)
        until(lambda: removed and not store.cancelled(first.id))
        assert store.get(first.id) is None and not store.folder(first.id).exists()
        assert ended(store, sent(store, 0.2)).state == DONE


def test_a_job_that_is_stopped_in_the_middle_is_done_after_a_restart(monkeypatch, settings):
    def endless(callback, length):
        until(lambda: callback(0.5, None))  # until it raises

    with Store(settings) as store:
        monkeypatch.setattr(MADE, lambda bag, **options: Halves(endless))
        with working(store):
            job = sent(store, 0.5)
            until(lambda: store.get(job.id).progress == 0.5)
            assert (store.folder(job.id) / "a.f32").exists()
        found = store.get(job.id)
        assert (found.state, found.progress, found.started) == (QUEUED, 0.0, None)
        assert [path.name for path in store.folder(job.id).iterdir()] == [INPUT]
    with by(monkeypatch, settings, Halves()) as (store, _):
        assert ended(store, job).state == DONE


@pytest.mark.slow
def test_a_long_track_lets_short_ones_pass_and_another_long_one_waits(monkeypatch, settings):
    """While the long one is in the middle of a block, two short ones are begun and ended."""
    short = []

    def step(callback, length):
        if length == 2 * RATE and not short:  # the first long one's
            assert store.get(other.id).state == QUEUED
            short.extend(sent(store, 0.2, name="short") for _ in range(2))

            def through():
                callback(0.5, None)  # as between the blocks that an engine computes
                return all(store.get(job.id).state == DONE for job in short)

            until(through)
            assert store.get(long.id).state == RUNNING and store.get(other.id).state == QUEUED

    with by(monkeypatch, settings, Halves(step)) as (store, workers):
        until(lambda: workers.ready()["ready"])
        with monkeypatch.context() as patch:
            patch.setattr(store, "take", lambda long_too=True: None)
            long, other = sent(store, 2.0), sent(store, 1.5)
        assert ended(store, long).state == DONE and len(short) == 2
        assert ended(store, other).state == DONE


def test_the_threads_survive_a_store_that_fails(monkeypatch, settings, caplog):
    failures = []

    def fails(long_too=True):
        failures.append(long_too)
        raise OSError("disk")

    with by(monkeypatch, settings, Halves()) as (store, workers):
        with monkeypatch.context() as patch:
            patch.setattr(store, "take", fails)
            until(lambda: len(failures) > 2)
        assert ended(store, sent(store, 0.2)).state == DONE
    assert "jobs cannot be taken or ended" in caplog.text


def test_a_device_that_is_not_there_stops_the_start(settings):
    settings = replace(settings, device="gpu")
    with Store(settings) as store, pytest.raises(UserError, match="JAX finds no GPU here"):
        Workers(store, settings).start()


def test_a_model_that_is_damaged_is_told_by_ready_and_no_path_is(settings, tmp_path, caplog):
    (tmp_path / "mine.safetensors").write_bytes(b"damaged")
    settings = replace(settings, models=(str(tmp_path / "mine.safetensors"),))
    with Store(settings) as store, working(store) as workers:
        assert workers.ready()["devices"] == ["cpu"]
        found = until(lambda: (now := workers.ready())["error"] and now)
    assert not found["ready"] and found["models"] == []
    assert found["error"] == "model 'mine' cannot be loaded; the server's log says why"
    assert "mine.safetensors" in caplog.text


@pytest.mark.slow
def test_stems_are_those_of_the_command_line_bit_for_bit(
    settings, tiny_model, run_separate, quick_compile
):
    soundfile.write("song.wav", noise(4000).T, RATE, "PCM_16")
    assert run_separate("song.wav", "--softmask", "--two-stems", "vocals")[0] == 0
    settings = replace(settings, models=(str(tiny_model),))
    with Store(settings) as store, working(store) as workers:
        wanted = Options("tiny", softmask=True, two_stems="vocals")
        job = ended(store, sent(store, Path("song.wav"), wanted))
        for stem in ("vocals", "rest"):
            written = Path("separated", "song", f"{stem}.wav").read_bytes()
            assert (store.folder(job.id) / f"{stem}.wav").read_bytes() == written
        assert workers.ready() == {
            **{"ready": True, "devices": ["cpu"], "models": ["tiny"], "error": None},
        }
