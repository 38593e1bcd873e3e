"""What time and kills leave: jobs that expire, rows without folders, folders without rows."""

import re
from pathlib import Path

from xumx_jax.web.database import Database
from xumx_jax.web.jobs import DONE, EXPIRED, FAILED

ID = re.compile(r"[0-9a-f]{32}")  # of a job, and the name of its folder
BARE = (EXPIRED, FAILED)  # states of jobs without a folder


def expire(database: Database, folder: Path, now: float, keep_seconds: float) -> dict[str, bool]:
    """Change the rows, within a transaction -> {id: whether it is gone} of those that changed.

    Jobs that were done become EXPIRED, and go after `keep_seconds` more; so do at once those that
    had failed, and those whose folder is not there.
    """
    changed = {}
    for row in database.execute("SELECT id, state, expires FROM jobs").fetchall():
        id, state = row["id"], row["state"]
        due = row["expires"] is not None and row["expires"] <= now
        there = state in BARE or (folder / id).is_dir()
        if due and state == DONE and there:
            database.execute(
                "UPDATE jobs SET state = ?, result = NULL, expires = ? WHERE id = ?",
                *(EXPIRED, now + keep_seconds, id),
            )
            changed[id] = False
        elif due or not there:
            database.execute("DELETE FROM jobs WHERE id = ?", id)
            changed[id] = True
    return changed


def orphans(database: Database, folder: Path, spared: set[str]) -> list[Path]:
    """The folders of jobs that have none any more, within a transaction; `spared` are ids."""
    query = "SELECT id FROM jobs WHERE state NOT IN (?, ?)"
    known = {row["id"] for row in database.execute(query, *BARE)} | spared
    return [path for path in folder.iterdir() if ID.fullmatch(path.name) and path.name not in known]
