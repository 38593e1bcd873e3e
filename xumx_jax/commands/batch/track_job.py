"""What is done with every track, wherever it is separated: names of files, records, summaries."""

from functools import cache
from pathlib import Path

from xumx_jax import files
from xumx_jax.audio.formats import BITRATES, BITS
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

    def recorded(self, track, digest, models, applied) -> record.Record:
        """The record of a track's stems, by these models with these options."""
        return record.Record(digest, models, applied, track.path.name, self.fallback, self.made)

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


def digest_of(track) -> str:
    """SHA-256 of a track's file. Raises UserError if it cannot be read."""
    try:
        status = track.path.stat()
        return _digest(track.path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise UserError(f"{track.label}: cannot be read: {error.strerror}") from None


@cache
def _digest(path: Path, size: int, changed: int) -> str:
    """The digest of a file; the other arguments show whether it is still the same."""
    return files.digest(path)
