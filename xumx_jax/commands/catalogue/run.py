"""A catalogue from the command line to the exit status: here, as a shard, or on a Ray cluster."""

import sys
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from xumx_jax import runtime, stores
from xumx_jax.commands import console
from xumx_jax.commands.catalogue import manifest, outputs, rows
from xumx_jax.commands.catalogue.manifest import Entry
from xumx_jax.commands.console import SOME_FAILED, STDOUT, say
from xumx_jax.commands.options import check_runner
from xumx_jax.errors import UserError


def check(options) -> tuple[int, int]:
    """Check the options before anything heavy is imported -> (shard, of how many)."""
    if options.out == STDOUT:
        raise UserError("--out - takes one track; a catalogue needs a folder or a URL")
    if options.json is not None:
        raise UserError(
            f"--json {options.json}: each file of a catalogue has a report of its own, and "
            f"{rows.table_name(0, 1)} in --out has them all; leave it out"
        )
    check_runner(options)
    return manifest.shard_of(options.shard) if options.shard is not None else (0, 1)


def run(options, models, applied) -> int:
    """Separate a catalogue -> 0, or 1 if some files failed. Raises UserError."""
    from xumx_jax.commands.batch.planning import in_time

    index, count = check(options)
    outputs.check(options.out)
    entries = manifest.read(options.manifest, options.inputs, options.out, options.recursive)
    here = manifest.shard(entries, index, count)
    part = f", of which {len(here)} are those of shard {index}/{count}" if count > 1 else ""
    say_line = partial(console.say_line, out=sys.stdout)
    say_line(f"{len(entries)} file{'s' * (len(entries) != 1)}{part}")
    begin, counts, music = time.perf_counter(), Counter(), 0.0
    with _table(options.out, rows.table_name(index, count)) as table:
        with console.stoppable() as stop:
            separated = _rows(options, models, applied, here, stop, say_line)
            for row in separated:
                table.add(row)
                counts[row["status"]] += 1
                music += row["seconds"] if row["status"] == rows.DONE else 0.0
                _report(row, say_line)
    states = (rows.DONE, rows.SKIPPED, rows.FAILED, rows.INTERRUPTED)
    told = ", ".join(f"{counts[name]} {name}" for name in states if counts[name])
    took = in_time(time.perf_counter() - begin)
    say_line(f"{told or 'nothing to do'}: {music:.1f} s of music in {took}")
    return SOME_FAILED if counts[rows.FAILED] else 0


def _rows(options, models, applied, entries, stop, say_line) -> Iterator[dict]:
    if not entries:
        return
    sent = {name: value for name, value in vars(options).items() if name != "run"}
    plain = Namespace(**{**sent, "inputs": ()})  # of a hundred thousand files perhaps
    if options.runner == "ray":
        from xumx_jax.commands.catalogue import on_ray

        yield from on_ray.separated(plain, models, applied, entries, stop, say_line)
        return
    from xumx_jax.commands.catalogue.worker import Worker

    worker = Worker(plain, models, applied, stop)
    say_line(worker.line)
    with runtime.threads(options.jobs) as pool:
        yield from runtime.ahead(pool, worker, _until(stop, entries), options.jobs)


def _until(stop, entries: list[Entry]) -> Iterator[Entry]:
    for entry in entries:
        if stop.asked():
            return
        yield entry


def _report(row, say_line) -> None:
    for warning in row["warnings"] if row["status"] == rows.DONE else ():
        say("warning", warning if row["input"] in warning else f"{row['input']}: {warning}")
    if row["status"] == rows.DONE:
        null = row["null_error_db"]
        shown = "silent" if null is None else f"{null:.1f} dB"
        say_line(
            f"{row['input']}: {row['seconds']:.1f} s separated in {row['took_seconds']:.2f} s, "
            f"stems against mix {shown}"
        )
    elif row["status"] == rows.SKIPPED:
        say_line(f"{row['input']}: skipped, its stems are there")
    elif row["status"] == rows.FAILED:
        say("error", row["error"])


def _table(out: str, name: str):
    """The table of all rows; without what writes Parquet, the reports of the files alone."""
    place = stores.join(out, name) if stores.is_url(out) else str(Path(out, name))
    try:
        return rows.Table(place)
    except UserError as error:
        say("note", f"{error}; there is a report beside the stems of each file all the same")
        return rows.NoTable()
