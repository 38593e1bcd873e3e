"""What is done with one track of a batch, and what its stems are known by: `record`.

JAX is imported only where this process separates: `remote` lets a server do that.
"""

import inspect
import os
import sys
import threading
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path

from xumx_jax import files
from xumx_jax.audio.formats import BITRATES, BITS
from xumx_jax.commands.batch.report import weights_digest
from xumx_jax.errors import UserError
from xumx_jax.separation import record


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

    infos    what is known about the models, and `applied`, the options of the separator; of these
             the attribute has those that differ from their defaults
    """

    def __init__(self, separator, options, chosen, stop, infos, applied):
        super().__init__(options, chosen, stop, infos[0].get("fallback", {}).get("wanted", ""))
        from xumx_jax.separation.file import separate_file
        from xumx_jax.separation.separator import Separator

        self.separator, self._infos = separator, infos
        # how many chunks are computed at once makes no difference, only that there are some
        applied = {**applied, "batch": True if applied.get("batch") else None}
        self.applied = _unusual(applied, Separator) | _unusual(
            {name: getattr(options, name) for name in ("start", "duration", "rate", "channels")},
            separate_file,
        )
        if options.combine is not None:
            self.applied["combine"] = options.combine
        self._device = threading.Lock()  # held by one track at a time

    def models(self) -> tuple[dict, ...]:
        """What the record says about each model."""
        return tuple(
            {
                "name": Path(info["name"]).name,
                "sha256": weights_digest(Path(info["path"])),
                "weight": info["weight"],
            }
            for info in self._infos
        )

    def record_of(self, track) -> record.Record:
        """See `recorded`."""
        return self.recorded(track, self.models(), self.applied)

    def run(self, track, entry: dict, on_warning, on_progress) -> str:
        """Separate one track, fill its entry of the report and return its summary."""
        piped = self.options.out == "-"
        with closing_pipe() if piped else nullcontext():
            found = self.separated(
                track.path,
                sys.stdout.buffer if piped else track.folder,
                label=track.label,
                on_progress=on_progress,
                on_warning=on_warning,
                record=None if piped else self.record_of(track),
            )
        entry |= facts(found)
        return self.summary(track, entry)

    def separated(self, source, out, **more):
        """`separate_file` with the options of the command line, and `more`."""
        from xumx_jax.separation.file import separate_file

        options = self.options
        return separate_file(
            self.separator,
            source,
            out,
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
            cancelled=self.stop.asked,
            device_lock=self._device,
            **more,
        )


def facts(found) -> dict:
    """What a report says of a `SeparatedFile`."""
    return {
        "stems_samples": found.stems_samples,
        "peak": found.peaks,
        "gain": found.gain,
        "null_error_db": found.null_error_db,
        "seconds": found.seconds,
        "samples": found.samples,
        "stems_rate": found.stems_rate,
        "timings": {name: round(took, 3) for name, took in sorted(found.timings.items())},
    }


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


@contextmanager
def closing_pipe():
    """If stdout cannot be written to within this context, keep Python from trying again at exit."""
    try:
        yield
    except UserError as error:
        if str(error).startswith("stdout: "):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise
