"""Before a batch begins: where its stems go, how long it takes and how much it will write."""

import heapq
import shutil
import sys
from dataclasses import dataclass, replace
from functools import partial

from tqdm import tqdm

from xumx_jax import audio
from xumx_jax.audio.containers import file_bytes
from xumx_jax.audio.formats import BITRATES, BITS, is_float, stored_rate
from xumx_jax.audio.resample import resampled_length
from xumx_jax.commands.batch.input_files import key_of
from xumx_jax.commands.batch.report import entry_of, failed
from xumx_jax.commands.console import say
from xumx_jax.errors import UserError
from xumx_jax.separation import record

# {format: smallest plausible size of a file of music, as a share of its estimate}. wav is exact;
# silence compresses to almost nothing, so an estimate alone must not refuse a batch.
_SURE = {"wav": 1.0, "flac": 0.1, "mp3": 0.9, "ogg": 0.2, "m4a": 0.2, "opus": 0.2}
_FLAC = 0.6  # of the size of the samples
_ENOUGH_SECONDS = 60  # of music, to measure the speed by
_MANY = 50  # tracks whose headers take a noticeable time to read


@dataclass(frozen=True)
class Size:
    """What one track is expected to take: seconds of music, and bytes on the disk.

    `spool` are bytes needed in the stems' folder until the gain for all stems is known.
    """

    seconds: float = 0.0
    stems: int = 0
    spool: int = 0
    there: int = 0  # bytes of an earlier run's stems, which these replace
    rate: int = 0  # of the file, like its channels; 0 if it could not be read
    channels: int = 0

    def facts(self) -> dict:
        """What the report says about the file."""
        return {"rate": self.rate, "channels": self.channels} if self.rate else {}


class Plan:
    """The sizes of all tracks. Raises UserError if the disk cannot hold their stems.

    `speed` is assumed, in seconds of music per second, until a track has been measured; None: it is
    not known.
    """

    def __init__(self, tracks, job, speed: float | None):
        self.options, self.speed = job.options, speed
        self._done, self._finished, self._measured = 0.0, 0, False
        self.sizes = []
        hidden = None if len(tracks) > _MANY else True  # None: where stderr is no terminal
        for track in tqdm(tracks, "looking", leave=False, disable=hidden, file=sys.stderr):
            job.stop.check()
            self.sizes.append(measure(track, job))
        self.seconds = [size.seconds for size in self.sizes]
        self._left = sum(self.seconds)
        self._tight = False
        self.free, self.wanted = None, sum(size.stems for size in self.sizes)
        if tracks and self.options.out != "-":
            self._check_disk(tracks[0].folder)

    def _check_disk(self, folder):
        place = next(part for part in folder.absolute().parents if part.is_dir())
        self.free = shutil.disk_usage(place).free
        sure = _SURE[self.options.format]
        if self._most(sure) > self.free:
            raise UserError(
                f"{self.options.out}: the stems need {in_bytes(self._most(sure))} and the disk has "
                f"{in_bytes(self.free)} left; use another --out, fewer --stems or "
                "a --format that takes less, such as flac or m4a"
            )
        self._tight = self._most(1.0) > self.free

    def _most(self, part) -> float:
        """The most disk space that the batch takes at any time beyond what is used now."""
        extra = [size.spool + min(size.there, part * size.stems) for size in self.sizes]
        grown = sum(part * size.stems - size.there for size in self.sizes)
        return grown + sum(heapq.nlargest(self.options.jobs, extra))

    def warnings(self) -> list[str]:
        """What may go wrong."""
        if not self._tight:
            return []
        return [
            f"{self.options.out}: the stems may need {in_bytes(self._most(1.0))} and the disk has "
            f"{in_bytes(self.free)} left"
        ]

    def line(self, device: str) -> str:
        """The line that is shown before a batch of several tracks."""
        known = f"{in_time(self._left)} of music"
        if not all(self.seconds):
            known = f"at least {known}" if self._left else "music of unknown length"
        about = "" if self.options.format == "wav" else "about "
        room = "" if self.free is None else f" ({in_bytes(self.free)} free)"
        text = f"{len(self.sizes)} tracks, {known}: {about}{in_bytes(self.wanted)} of stems{room}"
        if self._left and not self.speed:
            text += "; the first minute will show how long this takes"
        elif self._left and self.speed:
            text += (
                f", about {in_time(self._left / self.speed)} at {self.speed:.3g} x real time "
                f"(usual for a {device}; the first minute will show)"
            )
        return text

    def measured(self, entry, done: bool, left: int, took: float) -> str | None:
        """Record that a track has ended, `took` seconds after the first began.

        After the first minute of music there is a new estimate, if tracks are `left`: with less,
        the time for compiling would distort it.
        """
        seconds = entry.get("seconds", 0.0)
        self._left = max(0.0, self._left - seconds)
        if done:
            self._done, self._finished = self._done + seconds, self._finished + 1
        if self._measured or self._done < _ENOUGH_SECONDS:
            return None
        self._measured = True
        if not (left and self._left):
            return None
        # when the first of several tracks at once has ended, the others are about as far
        together = max(self._finished, min(self.options.jobs, self._finished + left))
        speed = self._done / took * together / self._finished
        return f"about {in_time(self._left / speed)} left, at {speed:.3g} x real time"


def usual_speed(models, backend: str, runs: int = 1) -> float | None:
    """Seconds of music per second that `models`, each `runs` times, usually separate on a backend.

    None if one of them does not say.
    """
    from xumx_jax.models.interface import optional

    usual = [optional(model, "usual_speed") for model in models]
    if not all(usual):
        return None
    return 1 / sum(runs / speeds.get(backend, speeds["cpu"]) for speeds in usual)


def measure(track, job) -> Size:
    """Read a track's header; one that cannot be read counts as nothing, and fails in its turn."""
    options = job.options
    try:
        opened = audio.open_blocks(track.path, options.start, options.duration, tags=True)
        with opened as stream:
            pass  # it is opened again to be separated: thousands cannot be kept open
    except Exception:  # whatever it is, it is said when the track is separated
        return Size()
    frames = stream.estimate if stream.length is None else stream.length
    channels = min(2, stream.channels) if options.channels == "front" else stream.channels
    kept = job.separator.rate if options.rate == "model" else stream.rate
    samples = resampled_length(frames, stream.rate, kept)
    paths, tags = job.paths(track), stream.tags
    stems = sum(stem_bytes(options, kept, samples, channels, tags.of_stem(name)) for name in paths)
    exact = is_float(options.format, options.bits)
    spool = 0 if exact else 4 * channels * samples * len(paths)
    there = sum(path.stat().st_size for path in paths.values() if path.is_file())
    seconds = frames / stream.rate
    return Size(seconds, stems, spool, there, stream.rate, stream.channels)


def stem_bytes(options, rate, samples, channels, tags) -> int:
    """The size of one stem in bytes: exact for wav, an estimate for other formats."""
    form = options.format
    bits = options.bits or BITS.get(form, ("16",))[0]
    if form == "wav":
        return file_bytes(samples, channels, bits, tags)
    if form == "flac":
        return round(_FLAC * samples * channels * int(bits) / 8) + len(tags.cover or b"")
    kbits = options.bitrate or BITRATES[form][0]
    seconds = samples / rate
    if form == "ogg":  # its qualities are of 44.1 kHz
        kbits *= min(1.0, stored_rate(form, rate) / 44100)
    return round(seconds * 1000 * kbits * channels / 2 / 8) + len(tags.cover or b"")


def in_bytes(count) -> str:
    """1234567 -> "1.2 MB"."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}" if unit != "bytes" else f"{count:.0f} bytes"
        count /= 1000
    return f"{count:.3g} TB"


def in_time(seconds) -> str:
    """75 -> "1:15"."""
    return tqdm.format_interval(seconds)


def placed(tracks, job, report, say_line) -> list:
    """The tracks to be separated, each with a folder in which nothing is lost.

    With `--skip-existing` those are left out whose stems are all there.
    """
    if job.options.overwrite:
        return tracks
    owned, left = {key_of(track.folder) for track in tracks}, []
    hidden = None if len(tracks) > _MANY else True  # None: where stderr is no terminal
    for track in tqdm(tracks, "looking for stems", leave=False, disable=hidden, file=sys.stderr):
        job.stop.check()
        try:
            folder, found, there = record.find_place(
                track.folder,
                "" if track.copied else track.path.resolve().parent.name,
                job.made,
                partial(job.record_of, track),
                lambda place: key_of(place) not in owned,
            )
        except UserError as error:
            failed(report, entry_of(track, job), error, job.options.debug)
            continue
        moved, before = replace(track, folder=folder), track.folder
        if found == record.FINISHED and job.options.skip_existing:
            report.add({**entry_of(moved, job), "status": "skipped"})
            say_line(f"{track.label}: skipped, its stems are in {folder}")
            continue
        if folder != before:
            owned.add(key_of(folder))
            note = f"{before} holds {there}, so these stems go to {folder}"
            moved = replace(moved, note=note)
            say("note", f"{track.label}: {note} (--overwrite replaces what is there)")
        left.append(moved)
    return left
