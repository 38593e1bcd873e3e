"""Separate the files of a catalogue one after the other; whatever goes wrong is in a file's row."""

import errno
import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from xumx_jax import files, runtime, stores
from xumx_jax.audio.containers import check_file
from xumx_jax.commands import options as common
from xumx_jax.commands.batch.job import Job, facts
from xumx_jax.commands.batch.run import loaded
from xumx_jax.commands.catalogue import outputs, rows
from xumx_jax.commands.catalogue.manifest import Entry
from xumx_jax.commands.console import REPORT, in_one_line
from xumx_jax.errors import Cancelled, UserError
from xumx_jax.separation import record
from xumx_jax.separation.selection import choose

MOST_TRIES = 4  # of a file; where a decoder crashes or memory ends, there is no error to report
# {fact of a separated file: column}
_COLUMNS = {"peak": "peaks", "gain": "gain", "null_error_db": "null_error_db", "seconds": "seconds"}


class Worker:
    """One Separator, for any number of files and threads.

    options, models, applied   the checked command line, as for `batch.run.separate`
    stop                       a `console.Stop`, checked between blocks

    Raises UserError if the models cannot be loaded. `line` says what was loaded.
    """

    def __init__(self, options, models, applied, stop):
        runtime.prepare(options.device)
        separator, infos = loaded(models, applied, options, "the files of a catalogue")
        chosen = choose(
            separator.sources, options.stems, options.two_stems, options.mix, options.aggregate
        )
        self.job = Job(separator, options, chosen, stop, infos, applied)
        self.options, (self.line, _) = options, common.describe(infos)
        self._models = self.job.models()

    def __call__(self, entry: Entry) -> dict[str, Any]:
        """Separate a file, unless its stems are there -> its row; raises no Exception."""
        row, begin = rows.begin(entry), time.perf_counter()
        row["warnings"] += [entry.note] if entry.note else []
        place = outputs.at(self.options.out, entry.name) if entry.name else None
        try:
            if place is None:
                raise UserError(entry.fault)
            self._separate(entry, place, row, begin)
        except Cancelled:
            row["status"] = rows.INTERRUPTED
        except Exception as error:
            row |= {"status": rows.FAILED, "error": self._told(error), "outputs": []}
            self._write_failure(place, row)
        return row

    def _separate(self, entry, place, row, begin) -> None:
        with _opened(entry) as (source, identity):
            name = Path(getattr(source, "name", source)).name
            known = (self._models, self.job.applied, name, self.job.fallback, self.job.made)
            wanted = record.Record(identity, *known)
            if not self.options.overwrite:
                found = place.look(wanted)
                if found == record.FINISHED:
                    place.sweep()
                    row |= {**rows.parse(place.read_report()), "status": rows.SKIPPED}
                    return
                if found != record.FREE:
                    raise UserError(
                        f"{entry.label}: {place.shown} holds {found}; "
                        "use --overwrite, or another --out"
                    )
            with place.staged() as staging:
                self._make(entry, source, wanted, staging, place, row, begin)

    def _make(self, entry, source, wanted, staging, place, row, begin) -> None:
        tried, publishing = place.begin(wanted), False
        try:
            if tried >= MOST_TRIES:
                raise UserError(
                    f"{entry.label}: its worker died {tried} times; the next run tries it again"
                )
            made = self.job.separated(
                source, staging, label=entry.label, on_warning=row["warnings"].append
            )
            given = facts(made)
            row |= {column: given[name] for name, column in _COLUMNS.items()}
            row |= {"status": rows.DONE, "outputs": place.outputs(list(wanted.stems))}
            row["took_seconds"] = round(time.perf_counter() - begin, 3)
            publishing = True
            place.publish(staging, wanted, rows.as_json(row))
        except Exception as error:
            with suppress(UserError):
                place.give_up(publishing)
                if publishing:  # the report may be there already, and is not true
                    place.write_report(rows.as_json({**row, "status": rows.FAILED}))
            if isinstance(error, UserError):
                told = type(error)(place.placed(str(error), staging))
                raise told.with_traceback(error.__traceback__) from None
            raise

    def _told(self, error: Exception) -> str:
        line = in_one_line(error)
        if self.options.debug or line is None:
            sys.stderr.write("".join(traceback.format_exception(error)))
        if line is None:
            line = f"unexpected {type(error).__name__}: {str(error)[:300]}; {REPORT}"
        return " ".join(line.split())

    def _write_failure(self, place, row) -> None:
        """Leave the row where the stems would be; stems that are there keep their own."""
        if place is None or rows.parse(place_report(place)).get("status") == rows.DONE:
            return
        try:
            place.write_report(rows.as_json(row))
        except UserError:  # nothing can be written there, as the row may say; it is in the table
            pass


def place_report(place) -> bytes | None:
    """The report in a place; None where that cannot be read either."""
    try:
        return place.read_report()
    except UserError:
        return None


def disk_is_full(row: dict) -> bool:
    """Whether a file failed for want of room on a disk."""
    return os.strerror(errno.ENOSPC) in (row["error"] or "")


@contextmanager
def _opened(entry: Entry) -> Iterator[tuple[Any, str]]:
    """A path, or an open file of a store, and what it is known by in the record."""
    if stores.is_url(entry.source):
        with stores.StoredFile(entry.source) as file:
            yield file, file.identity()
        return
    path = Path(entry.source)
    try:
        check_file(path)
        identity = files.digest(path)
    except OSError as error:
        raise UserError(f"{entry.label}: cannot be read: {error.strerror}") from None
    yield path, identity
