"""Separate many tracks with one Separator."""

import inspect
import sys
import threading
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import jax

from xumx_jax.commands import console
from xumx_jax.commands import options as common
from xumx_jax.commands.batch.planning import usual_speed
from xumx_jax.commands.batch.report import weights_digest
from xumx_jax.commands.batch.threads import closing_pipe, run_all
from xumx_jax.commands.batch.track_job import TrackJob, digest_of
from xumx_jax.errors import UserError
from xumx_jax.separation import record
from xumx_jax.separation.file import separate_file
from xumx_jax.separation.selection import choose
from xumx_jax.separation.separator import Separator


def separate(models, applied, tracks, options, report) -> None:
    """Load the models and separate the tracks; raises errors that concern more than one track."""
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


class Job(TrackJob):
    """Separate tracks here, in any number of threads.

    infos    what is known about the models, and `applied`, the options of the separator
    """

    def __init__(self, separator, options, chosen, stop, infos, applied):
        super().__init__(options, chosen, stop, infos[0].get("fallback", {}).get("wanted", ""))
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
        """The record of a track's stems. Raises UserError if the file cannot be read."""
        digest = digest_of(track)
        models = tuple(
            {
                "name": Path(info["name"]).name,
                "sha256": weights_digest(Path(info["path"])),
                "weight": info["weight"],
            }
            for info in self._infos
        )
        return self.recorded(track, digest, models, self._applied)

    def run(self, track, entry: dict, on_warning, on_progress) -> str:
        """Separate one track, fill its entry of the report and return its summary."""
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


def _unusual(given: dict, called) -> dict:
    """The arguments that differ from what the called would use by itself."""
    usual = inspect.signature(called).parameters
    return {name: value for name, value in given.items() if value != usual[name].default}
