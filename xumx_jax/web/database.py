"""The database of jobs: its file and its table, transactions, and rows as `Job`s."""

import json
import sqlite3
import threading
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from xumx_jax.errors import UserError
from xumx_jax.web.errors import Gone, NoRoom
from xumx_jax.web.jobs import DONE, QUEUED, RUNNING, UPLOADING, Job, Options, Result, Stem

FILE = "jobs.sqlite"
SCHEMA = 1  # raise it with every change of the table, and migrate in `_prepare`
_TABLE = """
CREATE TABLE jobs (
    id TEXT PRIMARY KEY, state TEXT NOT NULL, place INTEGER NOT NULL,
    name TEXT NOT NULL, client TEXT NOT NULL, options TEXT NOT NULL, created REAL NOT NULL,
    bytes INTEGER NOT NULL DEFAULT 0, seconds REAL, error TEXT, result TEXT,
    started REAL, ended REAL, expires REAL,
    kills INTEGER NOT NULL DEFAULT 0  -- of the server, while it did this job
)
"""
# what is running, what waits, in order, what is not complete yet, and the newest of the others
ORDER = f"""
ORDER BY CASE state WHEN '{RUNNING}' THEN 0 WHEN '{QUEUED}' THEN 1 WHEN '{UPLOADING}' THEN 2
    ELSE 3 END, CASE WHEN state IN ('{RUNNING}', '{QUEUED}') THEN place END, created DESC
"""
_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


class Database:
    """The database in a folder, made if it is missing, for any number of threads.

    With write-ahead logging: a killed process loses nothing that was committed; only the system's
    own end may lose the last moments. There is one connection to write and one to read, so that
    readers do not wait for the disk. Raises UserError for a file that is damaged, or was made by a
    newer version.
    """

    def __init__(self, folder: Path):
        self.writing, self._reading = threading.RLock(), threading.Lock()
        path = folder / FILE
        self._writer = _connected(path)
        self._reader = _connected(path)

    def close(self) -> None:
        """Close both connections; nobody may use them afterwards."""
        with self.writing, self._reading:
            self._reader.close()
            self._writer.close()

    @contextmanager
    def transaction(self):
        """What is executed within it is committed, or nothing after an error.

        Raises NoRoom if the disk is full.
        """
        with self.writing:
            try:
                self.execute("BEGIN IMMEDIATE")
                yield
                self.execute("COMMIT")
            except BaseException as error:
                if self._writer.in_transaction:
                    self.execute("ROLLBACK")
                full = isinstance(error, sqlite3.OperationalError)
                if full and error.sqlite_errorcode & 0xFF in _FULL:
                    raise NoRoom("the server's disk is full; try again later") from error
                raise

    def execute(self, text: str, *values) -> sqlite3.Cursor:
        """Execute a statement, within a transaction."""
        return self._writer.execute(text, values)

    def change(self, id: str, now: str, **columns) -> None:
        """Change columns of a job in the state `now`, within a transaction. Raises Gone."""
        names = ", ".join(f"{name} = ?" for name in columns)
        text = f"UPDATE jobs SET {names} WHERE id = ? AND state = ?"
        if not self.execute(text, *columns.values(), id, now).rowcount:
            raise Gone(f"the job is not {now}, or not there any more")

    def number(self, condition: str, *values) -> int:
        """The number of jobs for which a condition holds, within a transaction."""
        return self.execute(f"SELECT COUNT(*) FROM jobs WHERE {condition}", *values).fetchone()[0]

    def read(self, text: str, *values) -> list[sqlite3.Row]:
        """The rows that a query finds among what was committed."""
        with self._reading:
            return self._reader.execute(text, values).fetchall()


def _connected(path) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            _prepare(path, connection)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise UserError(
            f"{path}: cannot be used ({error}); wanted the database of a server's jobs: move it "
            "away, or choose another folder"
        ) from None
    return connection


def _prepare(path, connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == SCHEMA:
        return
    if version:
        raise UserError(
            f"{path}: has version {version}, and this program knows version {SCHEMA}; use the "
            "program that made it, or another folder"
        )
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(_TABLE)
    connection.execute(f"PRAGMA user_version = {SCHEMA}")
    connection.execute("COMMIT")


def job_of(row: sqlite3.Row, **more) -> Job:
    """A row as a `Job`; `more` are the fields that are not in the table."""
    known = dict(row)
    del known["place"], known["kills"]
    known["options"] = Options(**json.loads(known["options"]))
    known["error"] = tuple(json.loads(known["error"])) if known["error"] else None
    known["result"] = _result(json.loads(known["result"])) if known["result"] else None
    if known["state"] == DONE:
        more["progress"] = 1.0
    return Job(**{**known, **more})


def _result(known: dict) -> Result:
    stems = tuple(Stem(**stem) for stem in known["stems"])
    return Result(**{**known, "stems": stems, "warnings": tuple(known["warnings"])})


def text_of(value: Options | Result) -> str:
    """What a column holds of options or of a result."""
    return json.dumps(asdict(value))
