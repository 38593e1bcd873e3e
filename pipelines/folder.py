"""A data set as folders: ROOT/<track>/{vocals,drums,bass,other}.wav.

16-bit WAV (MUSDB18-HQ, the generator) is read by position straight from the file, without decoding;
everything else that libsndfile knows goes through its seeks, about ten times as slow.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from xumx_jax.errors import UserError

SUFFIXES = (".wav", ".flac")
PCM, EXTENSIBLE = 1, 0xFFFE


@dataclass(frozen=True)
class Stem:
    """Where one stem's samples lie. `offset` is the first sample's byte; None: ask soundfile."""

    path: Path
    rate: int
    channels: int
    samples: int
    offset: int | None


class Folder:
    """Random access to the excerpts of a folder data set.

    `tracks` lists (name, samples); a track is as long as its longest stem, the others continue in
    silence. Raises UserError naming the file if a stem is missing, unreadable, cut short, or not at
    `rate`.
    """

    def __init__(self, root, sources, rate: int, channels: int = 2):
        self.root, self.sources = Path(root), tuple(sources)
        self.rate, self.channels = int(rate), int(channels)
        if not self.root.is_dir():
            raise UserError(f"{root}: not a folder; wanted one folder per track in it")
        names = sorted(p.name for p in self.root.iterdir() if p.is_dir() and p.name[0] != ".")
        if not names:
            wanted = ", ".join(f"{source}.wav" for source in self.sources)
            raise UserError(f"{root}: no tracks; wanted folders with {wanted} in them")
        self.stems = [[self._stem(name, source) for source in self.sources] for name in names]
        self.tracks = [
            (name, max(stem.samples for stem in stems))
            for name, stems in zip(names, self.stems, strict=True)
        ]

    def _stem(self, name: str, source: str) -> Stem:
        paths = [self.root / name / f"{source}{suffix}" for suffix in SUFFIXES]
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            raise UserError(
                f"{paths[0]}: no such file; wanted {', '.join(self.sources)} (.wav or .flac) "
                f"in each folder of {self.root}"
            )
        stem = probe(path)
        if stem.rate != self.rate:
            raise UserError(f"{path}: sample rate {stem.rate} Hz, wanted {self.rate} Hz")
        if stem.channels not in (1, self.channels):
            raise UserError(f"{path}: {stem.channels} channels, wanted {self.channels} or 1")
        return stem

    def read(self, track: int, source: int, start: int, samples: int) -> np.ndarray:
        """Read one excerpt, float32 [channel, time] at full scale 1; silence beyond the end.

        The memory is interleaved: the result is the transpose of a contiguous [time, channel].
        """
        stem = self.stems[track][source]
        count = max(0, min(samples, stem.samples - start))
        frames = np.empty((samples, self.channels), np.float32)
        frames[count:] = 0
        if count:
            # [time, channel]; a mono stem spreads over all channels
            if stem.offset is None:
                frames[:count] = _decode(stem, start, count)
            else:
                integers = _pcm16(stem, start, count)
                np.multiply(integers, np.float32(1 / 32768), out=frames[:count])
        return frames.T


def splits(root) -> tuple[Path, Path | None]:
    """Find the (training, validation) folders of a data set.

    ROOT/train with ROOT/valid, or else ROOT/test, if they exist; without a train folder ROOT itself
    is the training set and there is no other.
    """
    root = Path(root)
    if not (root / "train").is_dir():
        return root, None
    return root / "train", next((root / n for n in ("valid", "test") if (root / n).is_dir()), None)


def probe(path: Path) -> Stem:
    """Read a file's header. Raises UserError if it is not audio or shorter than it says."""
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            stem = _riff(path, file, size)
        if stem is not None:
            return stem
        info = soundfile.info(path)
    except (OSError, RuntimeError) as error:
        raise UserError(f"{path}: cannot be read as audio ({_line(error)})") from error
    return Stem(path, info.samplerate, info.channels, info.frames, None)


def _riff(path, file, size) -> Stem | None:
    """Parse a 16-bit PCM WAV header; None if the file is anything else."""
    head = file.read(12)
    if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return None
    form = None
    while len(chunk := file.read(8)) == 8:
        name, length = struct.unpack("<4sI", chunk)
        if name == b"fmt ":
            form = file.read(length + length % 2)
            if len(form) < 16:
                return None
        elif name == b"data":
            break
        else:
            file.seek(length + length % 2, 1)
    else:
        raise UserError(f"{path}: cut short; wanted a WAV file with a data chunk")
    if form is None:
        return None
    kind, channels, rate, _, block, bits = struct.unpack("<HHIIHH", form[:16])
    if kind == EXTENSIBLE and len(form) >= 26:
        kind = struct.unpack("<H", form[24:26])[0]  # the sub-format's first two bytes
    if kind != PCM or bits != 16 or channels < 1 or block != 2 * channels:
        return None
    offset = file.tell()
    if length == 0xFFFFFFFF:  # written to a pipe: the length was never known
        length = size - offset
    if offset + length > size:
        raise UserError(
            f"{path}: cut short; its header promises {length} bytes of samples, "
            f"{size - offset} are there"
        )
    return Stem(path, rate, channels, length // block, offset)


def _pcm16(stem: Stem, start: int, count: int) -> np.ndarray:
    # As fast as a kept memory map, without its crash (SIGBUS) when a file shrinks meanwhile.
    offset = stem.offset + 2 * stem.channels * start
    try:
        frames = np.fromfile(stem.path, "<i2", count * stem.channels, offset=offset)
    except OSError as error:
        raise UserError(f"{stem.path}: cannot be read ({_line(error)})") from error
    if frames.size < count * stem.channels:
        raise UserError(f"{stem.path}: became shorter while in use; wanted {stem.samples} samples")
    return frames.reshape(count, stem.channels)


def _decode(stem: Stem, start: int, count: int) -> np.ndarray:
    try:
        with soundfile.SoundFile(stem.path) as file:
            file.seek(start)
            frames = file.read(count, dtype="float32", always_2d=True)
    except (OSError, RuntimeError) as error:
        raise UserError(f"{stem.path}: cannot be read ({_line(error)})") from error
    if len(frames) < count:
        raise UserError(f"{stem.path}: cut short; wanted {stem.samples} samples")
    return frames


def _line(error) -> str:
    return " ".join(str(error).split())
