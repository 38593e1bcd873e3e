"""The jobs of a server: a row of a database and a folder each, which survive a kill."""

import json
import shutil
import time
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from secrets import token_hex

from xumx_jax import files
from xumx_jax.errors import UserError
from xumx_jax.web import places, sweeping
from xumx_jax.web.changes import Changes
from xumx_jax.web.database import ORDER, Database, job_of, text_of
from xumx_jax.web.errors import Gone, NoRoom, TooMany
from xumx_jax.web.jobs import (
    ACTIVE,
    DONE,
    EXAMPLE,
    FAILED,
    QUEUED,
    RUNNING,
    STATES,
    UPLOADING,
    WAITING,
    Job,
    Live,
    Options,
    Result,
)
from xumx_jax.web.settings import Settings

INPUT = "input"  # the upload, in its job's folder, until the job has ended
LOCK = "lock"
MOST_KILLS = 3  # of the server while it does a job, which is then given up


class Store:
    """The jobs in a folder, for any number of threads, in a `with`.

    A row is committed before anybody is told of it, so no accepted job is lost.

    Entering it takes the folder: UserError if another server uses it, or if it cannot be used.
    What a killed server left is then put right: what ran is queued again, uploads that were not
    complete are gone, and `sweep` is done. `clock` gives Unix time.

    Methods that change a job raise Gone if it is not in the state that they need.
    """

    def __init__(self, settings: Settings, clock=time.time):
        self.settings, self._clock = settings, clock
        self._stack = ExitStack()
        self._changes = Changes()
        self._leaving: set[str] = set()  # removed while they run

    def __enter__(self):
        folder = self.settings.folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._stack.enter_context(files.locked(folder / LOCK, waiting=None))
        except BlockingIOError:
            raise UserError(f"{folder}: another server uses this folder; choose another") from None
        except OSError as error:
            raise UserError(f"{folder}: cannot be used for jobs: {error.strerror}") from None
        try:
            self._database = self._stack.enter_context(closing(Database(folder)))
            self._recover()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_):
        self._stack.close()

    def create(self, name: str, options: Options, client: str) -> Job:
        """Begin a job that is being uploaded, with its folder. Raises TooMany or NoRoom."""
        self.check_room()
        most, most_each = self.settings.max_queue, self.settings.max_per_client
        with self._changing() as database:
            if database.number("client != ? AND state IN (?, ?)", EXAMPLE, *WAITING) >= most:
                raise TooMany(f"{most} jobs wait already, as many as may; try again later")
            if database.number("client = ? AND state IN (?, ?, ?)", client, *ACTIVE) >= most_each:
                raise TooMany(f"{most_each} of your jobs wait or run already; try again later")
            id = token_hex(16)
            try:
                self.folder(id).mkdir(mode=0o700)
            except OSError as error:
                raise NoRoom("the server cannot keep another job; try again later") from error
            database.execute(
                "INSERT INTO jobs (id, state, place, name, client, options, created) "
                "VALUES (?, ?, 0, ?, ?, ?, ?)",
                *(id, UPLOADING, name, client, text_of(options), self._clock()),
            )
            self._changes.note(id)
        return self._known(id)

    def check_room(self) -> None:
        """Raise NoRoom if the disk has less room than it should keep."""
        if shutil.disk_usage(self.settings.folder).free < self.settings.min_free_bytes:
            raise NoRoom("the server's disk is full; try again later")

    def folder(self, id: str) -> Path:
        """The folder of a job. Raises Gone unless `id` looks like one."""
        if not sweeping.ID.fullmatch(id):
            raise Gone("no job has such an id; wanted 32 hexadecimal digits")
        return self.settings.folder / id

    def uploaded(self, id: str, bytes: int, seconds: float | None) -> Job:
        """An upload is complete, and audio: it waits, behind all others.

        `seconds` is the track's length, None or 0 if nobody knows.
        """
        with self._changing() as database:
            known = {"bytes": bytes, "seconds": seconds or None}
            self._set(id, UPLOADING, state=QUEUED, place=places.behind_all(database, id), **known)
        return self._known(id)

    def discard(self, id: str) -> None:
        """Remove an upload that was cut off or refused, if it is still there."""
        with self._changing() as database:
            text = "DELETE FROM jobs WHERE id = ? AND state = ?"
            found = database.execute(text, id, UPLOADING).rowcount
        if found:
            self._forget(id)

    def get(self, id: str) -> Job | None:
        """A job as it is now; None if there is none of that id."""
        found = self._database.read("SELECT * FROM jobs WHERE id = ?", id)
        if not found:
            return None
        ahead = 0
        if found[0]["state"] == QUEUED:
            before = "SELECT COUNT(*) AS ahead FROM jobs WHERE state = ? OR state = ? AND place < ?"
            ahead = self._database.read(before, RUNNING, QUEUED, found[0]["place"])[0]["ahead"]
        return self._job(found[0], ahead)

    def jobs(self) -> list[Job]:
        """All: what is running, the queue, what is being uploaded, then the newest first."""
        found = self._database.read(f"SELECT * FROM jobs {ORDER}")
        return [
            self._job(row, ahead if row["state"] == QUEUED else 0)
            for ahead, row in enumerate(found)
        ]

    def moment(self) -> str:
        """A name of what `jobs` gives: if it is the same, nothing has changed meanwhile."""
        return self._changes.moment()

    def move(self, id: str, before: str | None) -> Job:
        """Put a job that waits before another one, or at the end of the queue."""
        with self._changing() as database:
            places.move(database, id, before)
            self._changes.note(id)
        return self._known(id)

    def remove(self, id: str) -> bool:
        """Remove a job and everything of it; what runs is stopped. False if there is none."""
        with self._changing() as database:
            row = database.execute("SELECT state FROM jobs WHERE id = ?", id).fetchone()
            if row is None:
                return False
            if running := row["state"] == RUNNING:
                self._leaving.add(id)
            database.execute("DELETE FROM jobs WHERE id = ?", id)
        if not running:  # else its thread, which still writes there, calls `left`
            self._forget(id)
        return True

    def cancelled(self, id: str) -> bool:
        """Whether a job that runs was removed, so that its thread should stop."""
        return id in self._leaving

    def left(self, id: str) -> None:
        """The thread of a job that was removed has stopped: its folder goes."""
        self._forget(id)
        self._leaving.discard(id)

    def take(self, long_too: bool = True) -> Job | None:
        """Begin the next job that waits; None if there is none.

        Without `long_too`, none longer than `long_seconds`, or of a length that nobody knows.
        """
        query = "SELECT id FROM jobs WHERE state = ? AND (? OR seconds <= ?) ORDER BY place LIMIT 1"
        values = (QUEUED, long_too, self.settings.long_seconds)
        if not self._database.read(query, *values):  # nothing changes, and nobody is woken
            return None
        with self._changing() as database:
            row = database.execute(query, *values).fetchone()
            if row is None:
                return None
            self._set(row["id"], QUEUED, state=RUNNING, started=self._clock())
        job = self.get(row["id"])
        if job is None:  # removed before it could begin
            self.left(row["id"])
        return job

    def is_long(self, job: Job) -> bool:
        """Whether a job lets shorter ones pass: a long track, or of unknown length."""
        return job.seconds is None or job.seconds > self.settings.long_seconds

    def wait(self, seconds: float) -> None:
        """Return when the queue has changed, and at the latest after so many seconds."""
        self._changes.wait(seconds)

    def progress(self, id: str, fraction: float | None, eta: float | None) -> None:
        """How far a job that runs is, 0 to 1, and the seconds left."""
        self._changes.note(id, progress=fraction or 0.0, eta_seconds=eta)

    def grown(self, id: str, live: Live) -> None:
        """There is more of the stems of a job that runs."""
        self._changes.note(id, live=live)

    def done(self, id: str, result: Result) -> None:
        """A job that runs has ended well; its upload is removed."""
        self._end(id, state=DONE, result=text_of(result))
        files.remove_quietly(self.folder(id) / INPUT)

    def failed(self, id: str, code: str, message: str) -> None:
        """A job that runs has failed: one line says why, and of its files none is kept."""
        self._clear(id)  # first of all, since a full disk may be the reason
        self._end(id, state=FAILED, error=json.dumps([code, message]))
        files.remove_quietly(self.folder(id))

    def requeue(self, id: str) -> None:
        """A job that runs waits again, at its old place; of its files only the upload is kept."""
        self._clear(id)
        with self._changing():
            self._set(id, RUNNING, state=QUEUED, started=None)
            self._changes.note(id, progress=0.0, eta_seconds=None, live=None)

    def sweep(self) -> None:
        """Remove what has expired, and rows without folders and vice versa: see `sweeping`."""
        folder, keep = self.settings.folder, self.settings.keep_seconds
        with self._changing() as database:
            changed = sweeping.expire(database, folder, self._clock(), keep)
            orphans = sweeping.orphans(database, folder, self._leaving)
        for path in orphans:
            files.remove_quietly(path)
        for id, gone in changed.items():
            (self._forget if gone else self._changes.note)(id)

    def counts(self) -> dict[str, int]:
        """The number of clients' jobs in each state."""
        query = "SELECT state, COUNT(*) AS number FROM jobs WHERE client != ? GROUP BY state"
        found = self._database.read(query, EXAMPLE)
        return dict.fromkeys(STATES, 0) | {row["state"]: row["number"] for row in found}

    def _recover(self):
        """Put right what a killed server left."""
        with self._changing() as database:
            database.execute("DELETE FROM jobs WHERE state = ?", UPLOADING)
            database.execute("UPDATE jobs SET kills = kills + 1 WHERE state = ?", RUNNING)
            ran = database.execute("SELECT * FROM jobs WHERE state = ?", RUNNING).fetchall()
        for row in ran:
            if row["kills"] < MOST_KILLS:
                self.requeue(row["id"])
            else:  # it may be the reason, as a track that takes all memory would be
                message = f"the server was killed {MOST_KILLS} times while it did this job"
                self.failed(row["id"], "internal", message)
        self.sweep()
        for job in self.jobs():
            files.remove_leftovers(self.folder(job.id))

    def _clear(self, id):
        """Remove the files of a job, except its upload."""
        for path in self.folder(id).glob("*"):
            if path.name != INPUT:
                files.remove_quietly(path)

    def _end(self, id, **columns):
        now = self._clock()
        with self._changing() as database:
            stays = database.number("id = ? AND client = ?", id, EXAMPLE)
            expires = None if stays else now + self.settings.keep_seconds
            self._set(id, RUNNING, ended=now, expires=expires, **columns)

    @contextmanager
    def _changing(self):
        """A transaction; afterwards whoever waits for the queue looks at it again."""
        with self._database.transaction():
            yield self._database
        self._changes.queue()

    def _set(self, id, now, **columns):
        self._database.change(id, now, **columns)
        self._changes.note(id)

    def _forget(self, id):
        files.remove_quietly(self.folder(id))
        self._changes.forget(id)

    def _job(self, row, ahead=0) -> Job:
        return job_of(row, ahead=ahead, **self._changes.of(row["id"], row["state"]))

    def _known(self, id) -> Job:
        job = self.get(id)
        if job is None:  # removed meanwhile
            raise Gone("the job is not there any more")
        return job
