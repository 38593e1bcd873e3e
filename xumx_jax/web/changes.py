"""What is known of jobs in memory alone: how far they are, and that something has changed."""

import threading
from dataclasses import dataclass

from xumx_jax.web.jobs import QUEUED


@dataclass
class _Live:
    progress: float = 0.0
    eta_seconds: float | None = None
    version: int = 0


class Changes:
    """Counts changes of jobs, and wakes those that wait for the queue; for any number of threads.

    Every change of a job gives it a larger number, its version, than any job had before.
    """

    def __init__(self):
        self._queue, self._lock = threading.Condition(), threading.Lock()
        self._live: dict[str, _Live] = {}
        self._count = self._queue_version = 0

    def note(self, id: str, **live) -> None:
        """A job has changed; `live` are `progress` and `eta_seconds` where they have."""
        with self._lock:
            found = self._live.setdefault(id, _Live())
            for name, value in live.items():
                setattr(found, name, value)
            self._count += 1
            found.version = self._count

    def queue(self) -> None:
        """The queue may have changed: wake those in `wait`."""
        with self._lock:
            self._count += 1
            self._queue_version = self._count
        with self._queue:
            self._queue.notify_all()

    def wait(self, seconds: float) -> None:
        """Return when the queue has changed, and at the latest after so many seconds."""
        with self._queue:
            self._queue.wait(seconds)

    def of(self, id: str, state: str) -> dict:
        """The fields of a `Job` that are known here."""
        live = self._live.get(id) or _Live()
        version = live.version
        if state == QUEUED:  # what happens to others changes how many are before it
            version = max(version, self._queue_version)
        return {**vars(live), "version": version}

    def forget(self, id: str) -> None:
        """A job is gone."""
        with self._lock:
            self._live.pop(id, None)
