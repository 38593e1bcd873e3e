"""A catalogue on a Ray cluster: paths go to workers, rows come back.

A worker that cannot work, because its disk is full or because its machine came later and has no
model, would otherwise be done with a whole catalogue in no time: it waits after each file, and the
others take the rest.
"""

import os
import queue
import threading
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from xumx_jax import stores
from xumx_jax.commands import ray_connection, ray_pool
from xumx_jax.commands.batch.report import weights_digest
from xumx_jax.commands.catalogue import outputs, rows
from xumx_jax.commands.catalogue.manifest import Entry
from xumx_jax.commands.console import Stop
from xumx_jax.errors import UserError

PAUSE_SECONDS = 30
_PATIENCE = 0.2  # seconds between two looks at whether to stop


def separated(options, models, applied, entries: Sequence[Entry], stop, say_line) -> Iterator[dict]:
    """Separate entries on the cluster of `--address` -> their rows. Raises UserError."""
    options = Namespace(**vars(options))
    if not stores.is_url(options.out):
        options.out = os.path.abspath(options.out)
    models = [(_absolute(name), weight) for name, weight in models]
    known = {name: weights_digest(Path(name)) for name, _ in models if name and Path(name).exists()}
    with ray_connection.connected(options.address, options.debug) as nodes:
        ray_pool.check_nodes(nodes, f"{__name__}:fault", known, options.out)
        taken = ray_pool.share(nodes, options.worker_cores, cpu=options.device == "cpu")
        say_line(ray_pool.line(nodes, taken))
        items = [{**asdict(entry), "source": _absolute(entry.source)} for entry in entries]
        arguments = (options, models, applied)
        rows_there = ray_pool.rows(f"{__name__}:Remote", arguments, items, taken)
        yield from _watched(rows_there, stop.check)


def _watched(source: Iterator[dict], check) -> Iterator[dict]:
    """The same rows; `check` is called while none comes, for a file may take many minutes."""
    found: queue.SimpleQueue = queue.SimpleQueue()

    def read():
        try:
            for row in source:
                found.put((row, None))
            found.put((None, None))
        except BaseException as error:  # for the main thread
            found.put((None, error))

    threading.Thread(target=read, daemon=True).start()
    while True:
        try:
            row, error = found.get(timeout=_PATIENCE)
        except queue.Empty:
            check()
            continue
        if error is not None:
            raise error
        if row is None:
            return
        yield row


class Remote:
    """A `Worker` for entries that have travelled."""

    def __init__(self, options, models, applied):
        from xumx_jax.commands.catalogue.worker import Worker

        self._worker = Worker(options, models, applied, Stop())

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        """Separate one entry -> its row."""
        from xumx_jax.commands.catalogue.worker import disk_is_full

        row = self._worker(Entry(**item))
        if disk_is_full(row):
            time.sleep(PAUSE_SECONDS)
        return row

    @staticmethod
    def failed(item: dict[str, Any], error: str) -> dict[str, Any]:
        """The row of an entry on a machine that cannot work."""
        time.sleep(PAUSE_SECONDS)
        row = rows.begin(Entry(**item))
        told = f"{row['input']}: {error} (on {row['host']})"
        return {**row, "status": rows.FAILED, "error": told}


def _absolute(name: str | None) -> str | None:
    """A path on this machine as the others can find it; names of models stay as they are."""
    if not name or stores.is_url(name) or not os.path.exists(name):
        return name
    return os.path.abspath(name)


def fault(models: dict[str, str], out: str) -> str | None:
    """What is wrong with this machine, one of a cluster; `models` are {path: SHA-256}."""
    try:
        outputs.check(out)
    except UserError as error:
        return str(error)
    for path, sha256 in models.items():
        if not os.path.exists(path):
            return f"has no {path}; wanted the model in a place that all machines see"
        if weights_digest(Path(path)) != sha256:
            return f"has another {path}; wanted the same model on all machines"
    return None
