"""What is known of jobs in memory alone: how far they are, and that something has changed."""

import threading
from dataclasses import dataclass
from secrets import token_hex

from xumx_jax.web.jobs import QUEUED, RUNNING, Live


@dataclass
class _Known:
    progress: float = 0.0
    eta_seconds: float | None = None
    live: Live | None = None
    version: int = 0


class Changes:
    """Counts changes of jobs, and wakes those that wait for the queue; for any number of threads.

    Every change of a job gives it a larger number, its version, than any job had before.
    """

    def __init__(self):
        self._queue, self._lock = threading.Condition(), threading.Lock()
        self._known: dict[str, _Known] = {}
        self._count = self._queue_version = 0
        self._start = token_hex(8)

    def note(self, id: str, **known) -> None:
        """A job has changed; `known` are `progress`, `eta_seconds` and `live` where they have."""
        with self._lock:
            found = self._known.setdefault(id, _Known())
            for name, value in known.items():
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

    def moment(self) -> str:
        """A name of what all jobs are now: another one after any change, and in another process."""
        return f"{self._start}-{self._count}"

    def wait(self, seconds: float) -> None:
        """Return when the queue has changed, and at the latest after so many seconds."""
        with self._queue:
            self._queue.wait(seconds)

    def of(self, id: str, state: str) -> dict:
        """The fields of a `Job` that are known here."""
        known = self._known.get(id) or _Known()
        version = known.version
        if state == QUEUED:  # what happens to others changes how many are before it
            version = max(version, self._queue_version)
        live = known.live if state == RUNNING else None
        return {**vars(known), "version": version, "live": live}

    def forget(self, id: str) -> None:
        """A job is gone."""
        with self._lock:
            self._known.pop(id, None)
