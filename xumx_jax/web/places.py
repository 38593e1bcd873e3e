"""The queue: the order of the jobs that wait, as numbers in their rows, within a transaction."""

from xumx_jax.web.database import Database
from xumx_jax.web.errors import Gone
from xumx_jax.web.jobs import EXAMPLE, QUEUED

LAST = 1 << 60  # the place of the example, which every client's job precedes


def behind_all(database: Database, id: str) -> int:
    """The place of a job that comes after all others."""
    if database.number("id = ? AND client = ?", id, EXAMPLE):
        return LAST
    query = "SELECT COALESCE(MAX(place), 0) FROM jobs WHERE place < ?"
    return database.execute(query, LAST).fetchone()[0] + 1


def move(database: Database, id: str, before: str | None) -> None:
    """Put a job that waits before another one, or at the end. Raises Gone if one does not wait."""
    queue = database.execute(
        "SELECT id, place FROM jobs WHERE state = ? AND place < ? ORDER BY place", QUEUED, LAST
    ).fetchall()
    order = [row["id"] for row in queue]
    for one in (id, *([] if before is None else [before])):
        if one not in order:
            raise Gone("the job does not wait, so it cannot be moved")
    if before != id:
        order.remove(id)
        order.insert(len(order) if before is None else order.index(before), id)
    # the places stay as they were: those of jobs that run, and may come back, lie between
    for row, one in zip(queue, order, strict=True):
        database.execute("UPDATE jobs SET place = ? WHERE id = ?", row["place"], one)
