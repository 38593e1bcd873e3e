"""Separate many tracks, some at once; the main thread reports the results.

JAX is imported only where this process separates: `remote` lets a server do that.
"""

import inspect
import os
import queue
import sys
import threading
import time
from contextlib import contextmanager, nullcontext
from functools import cache, partial
from pathlib import Path

from xumx_jax import files
from xumx_jax.audio.formats import BITRATES, BITS
from xumx_jax.commands import console
from xumx_jax.commands import options as common
from xumx_jax.commands.batch.planning import Plan, in_time, placed, usual_speed
from xumx_jax.commands.batch.report import Bars, entry_of, failed, relabelled, weights_digest
from xumx_jax.commands.console import say
from xumx_jax.errors import Cancelled, UserError
from xumx_jax.separation import record
from xumx_jax.separation.selection import choose


def separate(models, applied, tracks, options, report) -> None:
    """Load the models and separate the tracks; raises errors that concern more than one track."""
    import jax

    piped = console.STDOUT in (options.out, options.json)
    say_line = partial(console.say_line, out=sys.stderr if piped else sys.stdout)
    # a device that was asked for by name is never replaced by another
    applied_here = {**applied, "cpu_fallback": options.device == "auto"}
    separator, infos = common.load(models, applied_here, options.combine)
    fallback = infos[0].get("fallback")
    if fallback and len(tracks) > 1 and not options.allow_fallback:
        raise UserError(
            f"{fallback['wanted']} could not be downloaded ({fallback['reason']}), and "
            f"{len(tracks)} tracks are not separated by another model unasked; use --model demo "
            "or --allow-fallback, or run the same command again later"
        )
    chosen = choose(
        separator.sources, options.stems, options.two_stems, options.mix, options.aggregate
    )
    line, device = common.describe(infos)
    report.models(infos, device)
    say_line(line)
    with console.stoppable() as stop:
        job = Job(separator, options, chosen, stop, infos, applied)
        backend = jax.default_backend()
        models = separator.model if isinstance(separator.model, tuple) else (separator.model,)
        speed = usual_speed(models, backend, max(1, applied.get("shifts", 0)))
        by = f", by {infos[0]['name']} instead of {fallback['wanted']}" if fallback else ""
        run_all(job, tracks, report, say_line, speed, backend, by)


def run_all(job, tracks, report, say_line, speed, device: str, by: str = "") -> None:
    """Separate tracks with a `TrackJob`; raises errors of more than one track.

    `speed` is in seconds of music per second on this kind of device, None: unknown; `by` is added
    to the summary.
    """
    left = tracks if job.options.out == "-" else placed(tracks, job, report, say_line)
    plan = Plan(left, job, speed)
    for warning in plan.warnings():
        say("warning", warning)
    if len(left) > 1:
        say_line(plan.line(device))
    begin = time.perf_counter()
    with Bars(plan.seconds) as progress:
        Batch(job, report, say_line).run(left, plan, progress)
    if len(tracks) > 1 and job.stop.number is None:
        say_line(report.summary(in_time(time.perf_counter() - begin)) + by)


class TrackJob:
    """What local and remote separation have in common, for any number of threads.

    chosen   what to write, from `selection.choose`
    stop     a `console.Stop`, checked between blocks
    fallback the model that was wanted, where the bundled one replaces it, else ""
    """

    def __init__(self, options, chosen, stop, fallback=""):
        self.options, self.chosen, self.stop, self.fallback = options, chosen, stop, fallback
        self.made = {self._file(stem): self._made(stem) for stem in chosen}

    def _made(self, stem) -> dict:
        """How a stem is made, for the record; what is not given is the format's own default."""
        options, form = self.options, self.options.format
        parts = {source or "mixture": factor for source, factor in self.chosen[stem].items()}
        bits = (options.bits or BITS[form][0]) if form in BITS else None
        bitrate = (options.bitrate or BITRATES[form][0]) if form in BITRATES else None
        return {"of": parts, "bits": bits, "bitrate": bitrate}

    def recorded(self, track, models, applied) -> record.Record:
        """The record of a track's stems. Raises UserError if the file cannot be read."""
        digest, name = _digest_of(track), track.path.name
        return record.Record(digest, models, applied, name, self.fallback, self.made)

    def paths(self, track) -> dict[str, Path]:
        """{stem: file} for a track."""
        return {stem: track.folder / self._file(stem) for stem in self.chosen}

    def _file(self, stem) -> str:
        return f"{stem}.{self.options.format}"

    def summary(self, track, entry) -> str:
        """What is printed of a track that was separated, from its entry in the report."""
        null, took = entry["null_error_db"], entry["timings"]["total"]
        shown = "silent" if null is None else f"{null:.1f} dB"
        by = f" by demo instead of {self.fallback}" if self.fallback else ""
        return (
            f"{track.label}: {entry['seconds']:.1f} s separated{by} in {took:.2f} s "
            f"({entry['seconds'] / took:.1f} x real time), stems against mix {shown}\n"
            + "\n".join(f"  {path}" for path in entry["outputs"].values())
        )


class Job(TrackJob):
    """Separate tracks here, in any number of threads.

    infos    what is known about the models, and `applied`, the options of the separator
    """

    def __init__(self, separator, options, chosen, stop, infos, applied):
        super().__init__(options, chosen, stop, infos[0].get("fallback", {}).get("wanted", ""))
        from xumx_jax.separation.file import separate_file
        from xumx_jax.separation.separator import Separator

        self.separator, self._infos = separator, infos
        # how many chunks are computed at once makes no difference, only that there are some
        applied = {**applied, "batch": True if applied.get("batch") else None}
        self._applied = _unusual(applied, Separator) | _unusual(
            {name: getattr(options, name) for name in ("start", "duration", "rate", "channels")},
            separate_file,
        )
        if options.combine is not None:
            self._applied["combine"] = options.combine
        self._device = threading.Lock()  # held by one track at a time

    def record_of(self, track) -> record.Record:
        """See `recorded`."""
        models = tuple(
            {
                "name": Path(info["name"]).name,
                "sha256": weights_digest(Path(info["path"])),
                "weight": info["weight"],
            }
            for info in self._infos
        )
        return self.recorded(track, models, self._applied)

    def run(self, track, entry: dict, on_warning, on_progress) -> str:
        """Separate one track, fill its entry of the report and return its summary."""
        from xumx_jax.separation.file import separate_file

        options, piped = self.options, self.options.out == "-"
        with closing_pipe() if piped else nullcontext():
            found = separate_file(
                self.separator,
                track.path,
                sys.stdout.buffer if piped else track.folder,
                stems=options.stems,
                two_stems=options.two_stems,
                mix=options.mix,
                aggregate=options.aggregate,
                format=options.format,
                bits=options.bits,
                bitrate=options.bitrate,
                rate=options.rate,
                channels=options.channels,
                start=options.start,
                duration=options.duration,
                allow_truncated=options.allow_truncated,
                strict=options.strict,
                label=track.label,
                on_progress=on_progress,
                on_warning=on_warning,
                cancelled=self.stop.asked,
                device_lock=self._device,
                record=None if piped else self.record_of(track),
            )
        entry |= {"stems_samples": found.stems_samples, "peak": found.peaks, "gain": found.gain}
        entry |= {"null_error_db": found.null_error_db, "seconds": found.seconds}
        entry |= {"samples": found.samples, "stems_rate": found.stems_rate}
        entry["timings"] = {name: round(took, 3) for name, took in sorted(found.timings.items())}
        return self.summary(track, entry)


class Batch:
    """Threads that each separate one track at a time; `say_line` prints a track's summary."""

    def __init__(self, job, report, say_line):
        self.job, self.report, self.stop, self.say_line = job, report, job.stop, say_line
        self._todo, self._results = queue.SimpleQueue(), queue.SimpleQueue()

    def run(self, tracks, plan, progress) -> None:
        """Separate tracks in order, `--jobs` at once; raises errors of more than one track."""
        for number, track in enumerate(tracks):
            self._todo.put((number, track))
        workers = [
            threading.Thread(target=self._work, args=(plan.sizes, progress), daemon=True)
            for _ in range(min(self.job.options.jobs, len(tracks)))
        ]
        try:
            for worker in workers:
                worker.start()
            left, begin = len(tracks), time.perf_counter()
            while left and not self.stop.asked():
                if (result := self._result()) is not None:
                    left -= 1
                    self._report(*result)
                    track, entry, line, _ = result
                    took = time.perf_counter() - begin
                    if estimate := plan.measured(entry, line is not None, left, took):
                        self.say_line(estimate)
        finally:
            self.stop.ask()
            for worker in workers:
                if worker.ident is not None:  # started
                    worker.join()
            while not self._results.empty():  # tracks that were stopped, or finished meanwhile
                self._report(*self._results.get())

    def _result(self):
        try:
            return self._results.get(timeout=0.2)
        except queue.Empty:
            return None

    def _work(self, sizes, progress):
        while not self.stop.asked():
            try:
                number, track = self._todo.get_nowait()
            except queue.Empty:
                return
            entry, line, error = entry_of(track, self.job), None, None
            entry |= {"warnings": [track.note] * bool(track.note), **sizes[number].facts()}
            if self.job.fallback:
                entry["warnings"].append(f"separated by demo, not by {self.job.fallback}")
            try:
                with progress.track(number, track.label) as bar:
                    line = self.job.run(track, entry, partial(_note, track, entry), bar)
            except BaseException as caught:  # the main thread decides what to do about it
                error = caught
            self._results.put((track, entry, line, error))
            if error is not None and not isinstance(error, Exception):
                return

    def _report(self, track, entry, line, error):
        if error is None:
            self.report.add({**entry, "status": "done"})
            self.say_line(line)
        elif isinstance(error, Exception) and not isinstance(error, Cancelled):
            failed(self.report, entry, relabelled(error, track), self.job.options.debug)
        else:
            self.report.add({**entry, "status": "interrupted"})
            if not isinstance(error, Cancelled):
                raise error


def _digest_of(track) -> str:
    try:
        status = track.path.stat()
        return _digest(track.path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise UserError(f"{track.label}: cannot be read: {error.strerror}") from None


@cache
def _digest(path: Path, size: int, changed: int) -> str:
    """The digest of a file; the other arguments show whether it is still the same."""
    return files.digest(path)


def _unusual(given: dict, called) -> dict:
    """The arguments that differ from what the called would use by itself."""
    usual = inspect.signature(called).parameters
    return {name: value for name, value in given.items() if value != usual[name].default}


def _note(track, entry, message):
    """Print a warning about a track, and add it to the report."""
    message = message.replace(str(track.path), track.label)
    entry["warnings"].append(message)
    say("warning", message if track.label in message else f"{track.label}: {message}")


@contextmanager
def closing_pipe():
    """If stdout cannot be written to within this context, keep Python from trying again at exit."""
    try:
        yield
    except UserError as error:
        if str(error).startswith("stdout: "):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise
