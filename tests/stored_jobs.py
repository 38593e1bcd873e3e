"""Jobs in a store, in each state, for tests of the server."""

from xumx_jax.web.jobs import Options, Result, Stem
from xumx_jax.web.store import INPUT

OPTIONS = Options("demo", stems="a,b", niter=0, format="flac", bits="24")
RESULT = Result(44100, 2, 7, 0.5, (Stem("a", 80, 1.5), Stem("b", 80, 2.0)), -70.0, ("odd",))
KEEP = 100.0


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


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
