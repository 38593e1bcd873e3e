"""The threads of a server at work, with a separator that needs no model."""

import shutil
import time
from contextlib import contextmanager

import numpy as np
import soundfile
from separating import noise

from xumx_jax.web.jobs import QUEUED, RUNNING, Options
from xumx_jax.web.store import INPUT, Store
from xumx_jax.web.worker import Workers

RATE, DEMO = 8000, Options("demo")
PATIENCE_SECONDS = 30.0  # of the tests
MADE = "xumx_jax.separation.separator.separator_of"


class Halves:
    """Stems that are a half and a quarter of what comes, in small blocks; `step` may wait."""

    sources, rate = ("a", "b"), RATE

    def __init__(self, step=lambda callback, length: None):
        self.step = step

    def stream(self, blocks, rate, length, callback):
        for block in blocks:
            for at in range(0, block.shape[1], 1000):
                piece = block[:, at : at + 1000]
                callback(at / length, None)
                self.step(callback, length)
                yield {"a": piece * np.float32(0.5), "b": piece * np.float32(0.25)}


@contextmanager
def working(store):
    workers = Workers(store, store.settings)
    workers.start()
    try:
        yield workers
    finally:
        assert workers.stop(PATIENCE_SECONDS)


@contextmanager
def by(monkeypatch, settings, separator):
    """A store whose jobs are done by this separator."""
    monkeypatch.setattr(MADE, lambda bag, **options: separator)
    with Store(settings) as store, working(store) as workers:
        yield store, workers


def sent(store, source, options=DEMO, name="song.wav"):
    """A job of a file, or of noise of so many seconds."""
    job = store.create(name, options, "me")
    place = store.folder(job.id) / INPUT
    seconds = 0.5
    if isinstance(source, bytes):
        place.write_bytes(source)
    elif isinstance(source, float):
        seconds = source
        soundfile.write(place, noise(int(RATE * seconds)).T, RATE, "PCM_16", format="WAV")
    else:
        shutil.copyfile(source, place)
    return store.uploaded(job.id, place.stat().st_size, seconds)


def until(condition):
    end = time.monotonic() + PATIENCE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.002)
    return found


def ended(store, job):
    return until(lambda: (now := store.get(job.id)).state not in (QUEUED, RUNNING) and now)
