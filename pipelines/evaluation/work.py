"""The loop over tracks and systems: separate, score, save; one bad track does not lose the rest."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from jax.errors import JaxRuntimeError

from pipelines.evaluation import estimates, protocol
from pipelines.evaluation.messages import at, say
from pipelines.evaluation.scoring import Settings, score
from pipelines.evaluation.song import Song, opened
from pipelines.evaluation.systems import System
from pipelines.evaluation.waves import Interrupted
from pipelines.tracks.split import Split
from pipelines.tracks.track import Track
from xumx_jax.commands.console import in_one_line, say_error
from xumx_jax.errors import UserError
from xumx_jax.evaluation.scores import TrackScores, median


@dataclass
class Work:
    """One run. `folders` are for each system's scores, `outdirs` for its estimates."""

    data: Split
    tracks: Sequence[Track]
    systems: Sequence[System]
    wanted: Settings
    folders: dict[str, Path]
    outdirs: dict[str, Path]
    overwrite: bool = False
    failed: list[str] = field(default_factory=list)
    done: dict[tuple[str, str], TrackScores] = field(default_factory=dict)
    _go: threading.Event = field(default_factory=threading.Event)
    _stop: threading.Event = field(default_factory=threading.Event)
    _one_separates: threading.Lock = field(default_factory=threading.Lock)

    def look(self) -> None:
        """Find what an earlier run has finished, and keep it.

        Raises UserError on a score file of another protocol or system, and on estimates of another
        program that would be replaced, before anything is computed.
        """
        for system in self.systems:
            folder = self.folders[system.label] / self.data.subset
            for track in self.tracks:
                path = folder / f"{track.name}.json"
                self._check_foreign(system, track)
                if not self.overwrite and path.is_file():
                    self._collect(system, track, path)
            protocol.check_strangers(folder, self.tracks, system, self.wanted)

    def collect(self, track: Track) -> None:
        """Find the scores of a track that another process has written. Raises UserError."""
        for system in self.systems:
            folder = self.folders[system.label] / self.data.subset
            self._collect(system, track, folder / f"{track.name}.json")

    def _collect(self, system: System, track: Track, path: Path) -> None:
        try:
            expected = protocol.describe(system, self.data, track, self.wanted)
        except (UserError, OSError):  # its files are bad: said when it is its turn
            return
        found = protocol.finished(path, expected)
        if found and self._kept(system, track):
            self.done[system.label, track.name] = found

    def left(self) -> list[Track]:
        """The tracks that are not finished; prints how many are."""
        left = [
            track
            for track in self.tracks
            if any((system.label, track.name) not in self.done for system in self.systems)
        ]
        if len(left) < len(self.tracks):
            print(f"{len(self.tracks) - len(left)} of {len(self.tracks)} tracks are scored already")
        return left

    def run(self, jobs: int = 1) -> None:
        """Do the remaining work, `jobs` tracks at once."""
        left = self.left()
        if jobs == 1:
            for track in left:
                self.one(track)
            return
        with ThreadPoolExecutor(jobs) as pool:
            try:
                tasks = [pool.submit(self._in_thread, track) for track in left]
                self._go.set()
                for task in as_completed(tasks):
                    task.result()
            finally:
                self._stop.set()
                self._go.set()
                pool.shutdown(wait=True, cancel_futures=True)

    def scores(self, system: System) -> list[TrackScores]:
        """The scores of a system so far, in the order of the tracks."""
        found = (self.done.get((system.label, track.name)) for track in self.tracks)
        return [scores for scores in found if scores]

    def _in_thread(self, track: Track) -> None:
        # The pool does not wait for a thread in whose start it was interrupted: that one must not
        # have begun anything.
        self._go.wait()
        self._check()
        self.one(track)

    def one(self, track: Track) -> None:
        """Evaluate a track; what goes wrong is printed, and its name is in `failed`."""
        try:
            with at(track.name), opened(track, self.data, self._check) as song:
                for system in self.systems:
                    if (system.label, track.name) not in self.done:
                        self._evaluate(system, song)
        except Interrupted:
            raise
        except Exception as error:
            self._fail(track.name, error)

    def _evaluate(self, system: System, song: Song) -> None:
        track, begin = song.track, time.perf_counter()
        name = f"{track.name} ({system.label})" if len(self.systems) > 1 else track.name
        try:
            with at(name):
                scores = self._scores(system, song)
        except Interrupted:
            raise
        except Exception as error:
            self._fail(name, error)
            return
        for note in scores.notes:
            say("note", f"{name}: {note}")
        self.done[system.label, track.name] = scores
        took = time.perf_counter() - begin
        line = f"{name}: {headline(scores, self.wanted)} ({took:.1f} s)\n"
        print(line, end="", flush=True)  # in one go: others may be printing

    def _scores(self, system: System, song: Song) -> TrackScores:
        """Separate, score and save one song."""
        track = song.track
        expected = protocol.describe(system, self.data, track, self.wanted)
        references = song.waves(system.targets)
        found, notes = self._estimates(system, song)
        scores = score(
            track.name, system.targets, references, found, song.rate,
            self.wanted, expected, [*song.notes, *notes],
        )  # fmt: skip
        scores.save(self.folders[system.label] / self.data.subset / f"{track.name}.json")
        return scores

    def _estimates(self, system: System, song: Song):
        """The estimates of a song -> (waves, notes): existing ones, or else made now."""
        track, targets = song.track, system.targets
        if system.write is None:
            folder = system.place(self.data, track)
        elif system.label in self.outdirs:
            folder = self._outdir(system, track)
            origin = protocol.origin(system, self.data, track)
            if self.overwrite or not estimates.belong(folder, targets, origin):
                estimates.save(folder, targets, partial(self._separate, system, song), origin)
        else:
            folder = song.scratch / "estimates" / system.label
            estimates.save(folder, targets, partial(self._separate, system, song), None)
        found = estimates.find(folder, targets, lambda name: self.data.parts(track, name))
        return estimates.open_waves(found, song)

    def _separate(self, system: System, song: Song, paths: dict[str, Path]) -> None:
        with self._one_separates:
            system.write(song, paths, self._check)

    def _kept(self, system: System, track: Track) -> bool:
        """Return whether the estimates are already in place."""
        if system.write is None or system.label not in self.outdirs:
            return True
        origin = protocol.origin(system, self.data, track)
        folder = self._outdir(system, track)
        return estimates.belong(folder, system.targets, origin, look_inside=False)

    def _check_foreign(self, system: System, track: Track) -> None:
        """Raise UserError if another program's estimates would be replaced."""
        if self.overwrite or system.write is None or system.label not in self.outdirs:
            return
        folder = self._outdir(system, track)
        if estimates.foreign(folder, system.targets):
            raise UserError(
                f"{folder}: holds another program's estimates, without {estimates.ORIGIN}; "
                "use --overwrite, or another --outdir"
            )

    def _outdir(self, system: System, track: Track) -> Path:
        return self.outdirs[system.label] / self.data.subset / track.name

    def _check(self) -> None:
        if self._stop.is_set():
            raise Interrupted

    def _fail(self, name: str, error: Exception) -> None:
        self.failed.append(name)
        line = in_one_line(error)
        if line is None and isinstance(error, JaxRuntimeError):  # the device has too little memory
            line = str(error)
        if line is None:
            say_error(error, prefix=f"{name}: ", program="evaluate")
        else:
            say("error", f"{name}: {line}")


def headline(scores: TrackScores, wanted: Settings) -> str:
    """The track's medians of one metric: "SDR vocals 5.65, drums 9.38 dB"."""
    metric = "SDR" if "SDR" in wanted.metrics else wanted.metrics[0]
    values = {name: median(found["SDR"]) for name, found in scores.frames.items() if "SDR" in found}
    if metric != "SDR":
        values = {name: found[metric] for name, found in scores.whole.items()}
    return f"{metric} " + ", ".join(f"{name} {v:.2f}" for name, v in values.items()) + " dB"
