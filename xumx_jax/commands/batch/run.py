"""Separate many tracks, some at once; the main thread reports the results.

JAX is imported only where this process separates: `remote` lets a server do that.
"""

import queue
import sys
import threading
import time
from functools import partial

from xumx_jax.commands import console
from xumx_jax.commands import options as common
from xumx_jax.commands.batch.job import Job
from xumx_jax.commands.batch.planning import Plan, in_time, placed, usual_speed
from xumx_jax.commands.batch.report import Bars, entry_of, failed, relabelled
from xumx_jax.commands.console import say
from xumx_jax.errors import Cancelled, UserError
from xumx_jax.separation.selection import choose


def separate(models, applied, tracks, options, report) -> None:
    """Load the models and separate the tracks; raises errors that concern more than one track."""
    import jax

    piped = console.STDOUT in (options.out, options.json)
    say_line = partial(console.say_line, out=sys.stderr if piped else sys.stdout)
    separator, infos = loaded(models, applied, options, len(tracks))
    fallback = infos[0].get("fallback")
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


def loaded(models, applied, options, count: int):
    """Load the models for `count` tracks -> (separator, what is known about each model).

    Raises UserError if the default model cannot be had, and nobody allowed another.
    """
    # a device that was asked for by name is never replaced by another
    applied = {**applied, "cpu_fallback": options.device == "auto"}
    separator, infos = common.load(models, applied, options.combine)
    fallback = infos[0].get("fallback")
    if fallback and count > 1 and not options.allow_fallback:
        raise UserError(
            f"{fallback['wanted']} could not be downloaded ({fallback['reason']}), and "
            f"{count} tracks are not separated by another model unasked; use --model demo "
            "or --allow-fallback, or run the same command again later"
        )
    return separator, infos


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


def _note(track, entry, message):
    """Print a warning about a track, and add it to the report."""
    message = message.replace(str(track.path), track.label)
    entry["warnings"].append(message)
    say("warning", message if track.label in message else f"{track.label}: {message}")
