"""One open track: its mixture and its true sources, whatever its form on disk."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile

from pipelines.evaluation.waves import Waves
from pipelines.tracks import folders, opening, wav
from pipelines.tracks.musdb_stems import STREAMS, stem_blocks
from pipelines.tracks.names import MIXTURE
from pipelines.tracks.split import Split
from pipelines.tracks.track import Clip, Track, length
from xumx_jax import audio
from xumx_jax.errors import UserError
from xumx_jax.files import digest_of, replacing

CHANNELS = 2
PREFIX = "xumx-evaluate-"  # of temporary folders


@dataclass(frozen=True)
class Song:
    """A track whose files can be read; mono only if all of them are.

    `stems` are the clips of its sources, `mixture` is the clip to separate, `notes` say what is
    odd. `scratch` is a folder that is removed with the song.
    """

    track: Track
    data: Split
    rate: int
    channels: int
    samples: int
    stems: dict[str, Clip]
    mixture: Clip
    notes: tuple[str, ...]
    scratch: Path
    check: Callable[[], None]

    def waves(self, targets: Sequence[str]) -> Waves:
        """The true targets [target, channel, time]. Raises UserError naming missing stems."""
        parts = [self.data.parts(self.track, target) for target in targets]
        missing = [name for names in parts for name in names if name not in self.stems]
        if missing:
            names = ", ".join(f"{name}.wav" for name in dict.fromkeys(missing))
            raise UserError(
                f"{self.track.path}: no {names} (nor .flac); wanted a file for each of "
                f"{', '.join(targets)}, or fewer --targets"
            )
        sums = [[part for name in names for part in self.stems[name]] for names in parts]
        return Waves(sums, self.channels, self.samples, self.check)

    def mix(self) -> np.ndarray:
        """The whole mixture: float32 [channel, time]. Raises UserError if it is not finite."""
        waves = Waves([self.mixture], self.channels, self.samples, self.check)
        mix = waves[:, :, :][0].astype(np.float32, copy=False)
        if not np.isfinite(mix).all():
            at = (~np.isfinite(mix)).any(0).argmax() / self.rate
            name = MIXTURE if self.track.mixture is not None else "sum of the stems"
            raise UserError(
                f"{self.track.path}: its {name} is NaN or infinite at {at:.2f} s; "
                "wanted finite samples"
            )
        return mix


@contextmanager
def opened(track: Track, data: Split, check: Callable[[], None] = lambda: None) -> Iterator[Song]:
    """Open a track; STEMS are decoded to float32 files in a temporary folder (TMPDIR) first.

    Raises UserError if a file is damaged, or if its files do not belong together.
    """
    if track.fault:
        raise UserError(track.fault)
    with tempfile.TemporaryDirectory(prefix=PREFIX) as scratch:
        here = track
        if track.packed:
            folder = Path(scratch) / "references"
            decode(track.path, folder, check)
            here = folders.track_of(folder, track.name)
        listed = {name: here.stems[name] for name in track.sources}
        summed = here.mixture is None
        if not summed:
            listed = {MIXTURE: here.mixture, **listed}
        into = Path(scratch) / "decoded"
        listed = {
            name: tuple(replace(part, file=readable(part.file, into, check)) for part in clip)
            for name, clip in listed.items()
        }
        first = next((part.file for clip in listed.values() for part in clip), None)
        if first is None:
            raise UserError(f"{here.path}: no stems in it; wanted {', '.join(data.common)}")
        rate = (wav.probe(first) if isinstance(first, Path) else first).rate
        clips = opening.open_clips(list(listed.values()), rate, CHANNELS)
        samples = max(map(length, clips))
        if not samples:
            raise UserError(f"{here.path}: its files hold no samples")
        stems = dict(zip(listed, clips, strict=True))
        notes = list(_short(stems, samples))
        if summed and data.kind in ("stems", "wav"):
            notes.append(f"no {MIXTURE}.wav: the mixture is the sum of the stems")
        channels = max(part.file.channels for clip in clips for part in clip)
        mixture = stems.pop(MIXTURE, None) or tuple(p for clip in stems.values() for p in clip)
        yield Song(
            track, data, rate, channels, samples, stems, mixture, tuple(notes), Path(scratch), check
        )


def decode(path: Path, folder: Path, check: Callable[[], None] = lambda: None) -> None:
    """Decode a .stem.mp4 to float32 files FOLDER/{mixture,drums,bass,other,vocals}.wav.

    Not to 16 bits, which would round what museval scores. A few seconds are in memory at a time.
    """
    folder.mkdir(parents=True)
    with stem_blocks(path) as (rate, samples, blocks), ExitStack() as stack:
        _check_space(folder, len(STREAMS) * 2 * 4 * samples, path)
        with _told(path, folder):
            files = [
                stack.enter_context(_float_file(folder / f"{name}.wav", rate, 2))
                for name in STREAMS
            ]
            for stream, _, block in blocks:
                check()
                files[stream].write(block.T)
            for file in files:
                file.write(np.zeros((samples - file.tell(), 2), np.float32))


def readable(file, folder: Path, check: Callable[[], None] = lambda: None):
    """The file itself, or if it has to be decoded first a float32 WAV in this folder, made once.

    One that is there is complete.
    """
    if not isinstance(file, Path) or not folders.is_coded(file):
        return file
    place = folder / digest_of([str(file)])[:16] / f"{file.stem}.wav"
    if place.is_file():
        return place
    with audio.open_blocks(file) as blocks:
        folder.mkdir(parents=True, exist_ok=True)
        _check_space(folder, 4 * blocks.channels * (blocks.length or blocks.estimate), file)
        with _told(file, folder), replacing(place, durable=False) as partial:
            with _float_file(partial, blocks.rate, blocks.channels) as written:
                for block in blocks:
                    check()
                    written.write(block.T)
    return place


def _float_file(path: Path, rate: int, channels: int) -> soundfile.SoundFile:
    # RF64: plain WAV would end at 4 GB
    return soundfile.SoundFile(path, "w", rate, channels, subtype="FLOAT", format="RF64")


@contextmanager
def _told(path: Path, folder: Path) -> Iterator[None]:
    """Turn what libsndfile or the system says of a file that it cannot write into a UserError."""
    try:
        yield
    # an AssertionError without words: a full disk
    except (soundfile.LibsndfileError, AssertionError, OSError) as error:
        reason = str(error) or "the disk is full"
        raise UserError(f"{path}: cannot be decoded into {folder} ({reason})") from error


def _check_space(folder: Path, wanted: int, path: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise UserError(
            f"{path}: decoding it into {folder} takes {wanted / 1e6:.0f} MB, "
            f"{free / 1e6:.0f} MB is free; TMPDIR=FOLDER chooses another place"
        )


def _short(stems: dict[str, Clip], samples: int) -> Iterator[str]:
    for name, clip in stems.items():
        if clip and length(clip) < samples:
            yield (
                f"{name} is {samples - length(clip)} samples shorter than the longest file of the "
                "track and was padded with silence"
            )
