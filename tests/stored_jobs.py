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


def separated(store, stems, rate=44100, gain=1.0, name="song.wav"):
    """A job that is done, with these stems, {name: [channel, time]} -> its id.

    They are floats as they are, and WAV times the gain.
    """
    import soundfile

    from xumx_jax.web.peaks import Peaks

    job = ran(store, name=name)
    folder = store.folder(job.id)
    for stem, wave in stems.items():
        wave, peaks = wave.astype("<f4"), Peaks()
        soundfile.write(folder / f"{stem}.wav", gain * wave.T, rate, "PCM_16")
        wave.T.tofile(folder / f"{stem}.f32")
        (folder / f"{stem}.peaks").write_bytes(peaks.push(wave) + peaks.finish())
    channels, frames = wave.shape
    made = tuple(Stem(stem, 44, float(abs(wave).max())) for stem, wave in stems.items())
    store.done(job.id, Result(rate, channels, frames, gain, made))
    return job.id
