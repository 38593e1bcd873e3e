"""Examples of a scene that never change, as tracks: to validate and to evaluate on."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from pipelines.tracks.random_access import fill
from pipelines.tracks.scene import Scene
from pipelines.tracks.track import Clip, Part, Track, length
from xumx_jax.files import digest_of

CHANNELS = 2  # with which levels are measured


def fixed_mixes(
    place: Path, scene: Scene, clips: Mapping[str, tuple[Clip, ...]], count: int, samples: int
) -> tuple[Track, ...]:
    """Make tracks mix0000, ... of one clip per source, `samples` long, as the scene has them.

    The clips' files have been probed, and have one rate. Nothing is read before it is needed.
    """

    def track(number: int) -> Track:
        chosen, places = [], []
        for row, own in enumerate(clips.values()):
            draw = np.random.Generator(np.random.Philox(key=[row, number])).random(2)
            chosen.append(own[int(draw[0] * len(own))])
            places.append(float(draw[1]))
        level = np.random.Generator(np.random.Philox(key=[len(clips), number])).random()
        mix = Mix(scene, tuple(clips), tuple(chosen), samples, tuple(places), float(level))
        stems = {
            source: (Part(Placed(mix, row), 1, 0, samples),) for row, source in enumerate(clips)
        }
        name = f"mix{number:04d}"
        return Track(name, place / name, stems)

    return tuple(track(number) for number in range(count))


@dataclass(frozen=True)
class Mix:
    """One clip of each source, and the numbers by which the scene places and scales them."""

    scene: Scene
    sources: tuple[str, ...]
    clips: tuple[Clip, ...]
    samples: int
    place: tuple[float, ...]
    level: float

    @cached_property
    def starts(self) -> list[int]:
        """The sample of each clip with which the mix begins."""
        rows = zip(self.sources, self.clips, self.place, strict=True)
        return [self.scene.start(name, length(clip), self.samples, at) for name, clip, at in rows]

    @cached_property
    def gains(self) -> list[float]:
        """The factor of each source; all of them are read for it."""
        waves = np.empty((len(self.clips), self.samples, CHANNELS), np.float32)
        for clip, start, out in zip(self.clips, self.starts, waves, strict=True):
            fill(clip, start, out)
        return self.scene.gains(self.sources, list(waves), self.level)


@dataclass(frozen=True)
class Placed:
    """One source of a mix, with the methods of a `wav.File`."""

    mix: Mix
    source: int

    integer = False

    @property
    def clip(self) -> Clip:
        """What it is made of."""
        return self.mix.clips[self.source]

    @property
    def path(self) -> Path:
        """Its first file."""
        return self.clip[0].file.path

    @property
    def rate(self) -> int:
        """In Hz."""
        return self.clip[0].file.rate

    @property
    def channels(self) -> int:
        """1 if all of its files are mono."""
        return max(part.file.channels for part in self.clip)

    @property
    def samples(self) -> int:
        """The length of the mix."""
        return self.mix.samples

    @property
    def identity(self) -> tuple:
        """What identifies it among other files."""
        files = [(*part.file.identity, part.sign, part.start, part.samples) for part in self.clip]
        start = self.mix.starts[self.source]
        return (*files, start, self.samples, self.mix.level, repr(self.mix.scene))

    @property
    def digest(self) -> str:
        """SHA-256 of its files and of what is made of them; its level depends on the others'."""
        files = [part.file.digest for clip in self.mix.clips for part in clip]
        numbers = (self.source, self.mix.starts, self.samples, self.mix.level, self.mix.scene)
        return digest_of([*files, repr(numbers)])

    def read_into(self, start: int, out: np.ndarray) -> None:
        """Fill float32 `out` [time, channel] from sample `start` of the mix on."""
        fill(self.clip, self.mix.starts[self.source] + start, out)
        out *= np.float32(self.mix.gains[self.source])
