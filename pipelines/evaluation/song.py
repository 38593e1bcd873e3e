"""One track opened: its mixture and its true sources, whatever form it has on disk."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from pipelines.datasets import stems_folder
from pipelines.evaluation.tracks import MIXTURE, Data, Track
from pipelines.evaluation.waves import Waves
from pipelines.tracks import opening as index
from pipelines.tracks import wav
from pipelines.tracks.musdb_stems import STREAMS, stem_blocks
from xumx_jax.errors import UserError

CHANNELS = 2
PREFIX = "xumx-evaluate-"  # of temporary folders


@dataclass(frozen=True)
class Song:
    """A track whose files can be read; mono only if all of them are.

    `files` are those of the sources that are there, `mixture` those that add up to it. `notes` say
    what is odd. `scratch` is a folder that vanishes with the song.
    """

    track: Track
    data: Data
    rate: int
    channels: int
    samples: int
    files: dict[str, wav.File]
    mixture: tuple[wav.File, ...]
    notes: tuple[str, ...]
    scratch: Path
    check: Callable[[], None]

    def waves(self, targets: Sequence[str]) -> Waves:
        """The true [target, channel, time]. Raises UserError naming the stems that are missing."""
        parts = [self.data.parts(self.track, target) for target in targets]
        missing = [name for names in parts for name in names if name not in self.files]
        if missing:
            names = ", ".join(f"{name}.wav" for name in dict.fromkeys(missing))
            raise UserError(
                f"{self.track.path}: no {names} (nor .flac); wanted a file for each of "
                f"{', '.join(targets)}, or fewer --targets"
            )
        sums = [[self.files[name] for name in names] for names in parts]
        return Waves(sums, self.channels, self.samples, self.check)

    def mix(self) -> np.ndarray:
        """The mixture, all of it: float32 [channel, time]."""
        waves = Waves([self.mixture], self.channels, self.samples, self.check)
        return waves[:, :, :][0].astype(np.float32, copy=False)


@contextmanager
def opened(track: Track, data: Data, check: Callable[[], None] = lambda: None) -> Iterator[Song]:
    """Open a track; STEMS are decoded to float32 files in a temporary folder (TMPDIR) first.

    Raises UserError if a file is damaged, or if its files do not belong together.
    """
    with tempfile.TemporaryDirectory(prefix=PREFIX) as scratch:
        folder = track.path
        if data.kind == "stems":
            folder = Path(scratch) / "references"
            decode(track.path, folder, check)
        summed = stems_folder.find_stem(folder, MIXTURE) is None
        names = track.sources if summed else (MIXTURE, *track.sources)
        paths = {name: stems_folder.stem_file(folder, name) for name in names}
        if not paths:
            raise UserError(f"{folder}: no stems in it; wanted {', '.join(data.common)}")
        rate = wav.probe(next(iter(paths.values()))).rate
        files = {name: index.probe(path, rate, CHANNELS) for name, path in paths.items()}
        samples = max(file.samples for file in files.values())
        if not samples:
            raise UserError(f"{folder}: its files hold no samples")
        stems = {name: files[name] for name in track.sources}
        mixture = (files[MIXTURE],) if MIXTURE in files else tuple(stems.values())
        notes = list(_short(files, samples))
        if summed and data.kind != "folder":
            notes.append(f"no {MIXTURE}.wav: the mixture is the sum of the stems")
        yield Song(
            track, data, rate, max(file.channels for file in files.values()), samples, stems,
            mixture, tuple(notes), Path(scratch), check,
        )  # fmt: skip


def decode(path: Path, folder: Path, check: Callable[[], None] = lambda: None) -> None:
    """Decode a .stem.mp4 to float32 files FOLDER/{mixture,drums,bass,other,vocals}.wav.

    Not to 16 bit, which would round what museval scores. A few seconds are in memory at a time.
    """
    folder.mkdir(parents=True)
    with stem_blocks(path) as (rate, samples, blocks), ExitStack() as stack:
        _check_space(folder, len(STREAMS) * 2 * 4 * samples, path)
        try:
            # RF64: plain WAV would end at 4 GB
            files = [
                stack.enter_context(
                    soundfile.SoundFile(
                        folder / f"{name}.wav", "w", rate, 2, subtype="FLOAT", format="RF64"
                    )
                )
                for name in STREAMS
            ]
            for stream, _, block in blocks:
                check()
                files[stream].write(block.T)
            for file in files:
                file.write(np.zeros((samples - file.tell(), 2), np.float32))
        except (soundfile.LibsndfileError, AssertionError) as error:  # the latter: a full disk
            reason = str(error) or "the disk is full"
            raise UserError(f"{path}: cannot be decoded into {folder} ({reason})") from error


def _check_space(folder: Path, wanted: int, path: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise UserError(
            f"{path}: to decode it into {folder} takes {wanted / 1e6:.0f} MB, "
            f"{free / 1e6:.0f} MB are free; TMPDIR=FOLDER chooses another place"
        )


def _short(files: dict[str, wav.File], samples: int) -> Iterator[str]:
    for name, file in files.items():
        if file.samples < samples:
            yield (
                f"{name} is {samples - file.samples} samples shorter than the longest file of the "
                "track and was filled up with silence"
            )
