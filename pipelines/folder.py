"""A data set as folders: ROOT/<track>/{vocals,drums,bass,other}.wav, each of them whole."""

from pathlib import Path

import numpy as np

from pipelines import wav
from pipelines.datasets import index
from pipelines.datasets.index import splits
from pipelines.datasets.stems_folder import stem_file
from pipelines.wav import probe
from xumx_jax.errors import UserError

__all__ = ["Folder", "probe", "splits"]


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

    def _stem(self, name: str, source: str) -> wav.File:
        return index.probe(stem_file(self.root / name, source), self.rate, self.channels)

    def read(self, track: int, source: int, start: int, samples: int) -> np.ndarray:
        """Read one excerpt, float32 [channel, time] at full scale 1; silence beyond the end.

        The memory is interleaved: the result is the transpose of a contiguous [time, channel].
        """
        stem = self.stems[track][source]
        count = max(0, min(samples, stem.samples - start))
        frames = np.empty((samples, self.channels), np.float32)
        wav.read_into(stem, start, frames[:count])
        frames[count:] = 0
        return frames.T
