"""A split as the loader sees it: clips of sources, read at any position from many threads."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from pipelines.tracks.scene import Scene
from pipelines.tracks.track import Clip, Part, length
from xumx_jax import files
from xumx_jax.errors import UserError


@dataclass(frozen=True)
class Tracks:
    """Random access to the tracks of a split. `pipelines.datasets` opens them.

    names     of the tracks (not aligned: of the first source's clips)
    sources   of the data: first those that the model has, in its order, then the others
    mixing    [target, source] of 0 and 1: which sources add up to each target of the model
    clips     [source][track]
    mixtures  [track], empty if the data have no mixtures: then they are the sums
    aligned   track t of every source is the same piece of music
    skipped   (name, reason) of what could not be used
    identity  what identifies the data, if it is not names, sizes and times of files
    scene     how the excerpts of an example lie and how loud they are, if that is drawn together
    """

    root: Path
    names: tuple[str, ...]
    sources: tuple[str, ...]
    mixing: np.ndarray
    rate: int
    channels: int
    clips: tuple[tuple[Clip, ...], ...]
    mixtures: tuple[Clip, ...] = ()
    aligned: bool = True
    skipped: tuple[tuple[str, str], ...] = ()
    identity: str = ""
    scene: Scene | None = None

    @cached_property
    def counts(self) -> list[int]:
        """The number of tracks of each source."""
        return [len(clips) for clips in self.clips]

    @cached_property
    def integer(self) -> bool:
        """Whether every source can be read as int16, as stored in the files."""
        return self.scene is None and all(
            _is_integer(clip) for clips in self.clips for clip in clips
        )

    @cached_property
    def track_lengths(self) -> list[int]:
        """The length of each mixture: that of its longest stem, or its shortest if not aligned."""
        if not self.aligned:
            tracks = range(max(self.counts))
            return [min(length(clip) for clip in self._beside(track)) for track in tracks]
        rows = [*self.clips, self.mixtures] if self.mixtures else self.clips
        return [max(map(length, clips)) for clips in zip(*rows, strict=True)]

    def length(self, source: int, track: int) -> int:
        """The length to choose excerpts from: the whole track if stems belong together."""
        return self.track_lengths[track] if self.aligned else length(self.clips[source][track])

    def read_into(self, source: int, track: int, start: int, out: np.ndarray) -> None:
        """Fill `out` [time, channel] from sample `start` on, with silence around the clip.

        `out` is C-contiguous: float32 at full scale 1, or int16 if the set is `integer`. Raises
        UserError naming a file that has changed since it was indexed.
        """
        fill(self.clips[source][track], start, out)

    def mixture_into(self, track: int, start: int, out: np.ndarray) -> None:
        """Fill float32 `out` [time, channel] with the real mixture, else the sum of all sources.

        Sources that do not belong together are summed in their order, with shorter lists repeated:
        mixtures for statistics. Of a scene they have its middle level.
        """
        if self.mixtures:
            fill(self.mixtures[track], start, out)
        elif self.scene is not None:
            waves = np.empty((len(self.sources), *out.shape), np.float32)
            for clip, wave in zip(self._beside(track), waves, strict=True):
                fill(clip, start, wave)
            gains = np.asarray(self.scene.gains(self.sources, waves, 0.5), np.float32)
            out[:] = np.tensordot(gains, waves, 1)
        else:
            fill(tuple(part for clip in self._beside(track) for part in clip), start, out)

    def _beside(self, track: int) -> list[Clip]:
        return [clips[track % len(clips)] for clips in self.clips]

    @cached_property
    def _digest(self) -> str:
        if self.identity:
            return files.digest_of([f"{self.identity} {self.sources}"])
        clips = (
            [(*part.file.identity, part.sign, part.start, part.samples) for part in clip]
            for row in (*self.clips, self.mixtures)
            for clip in row
        )
        kind = (self.rate, self.channels, self.sources, self.aligned)
        return files.digest_of(map(repr, (kind, *clips)))

    def fingerprint(self) -> str:
        """SHA-256 of what identifies the data: files, sizes, times of change, rate, sources."""
        return self._digest


def _is_integer(clip: Clip) -> bool:
    return not clip or (len(clip) == 1 and clip[0].sign == 1 and clip[0].file.integer)


def fill(clip: Clip, start: int, out: np.ndarray) -> None:
    """Fill `out` [time, channel] with a clip from sample `start` on, with silence around the clip.

    Raises UserError naming a file that cannot be read, or that holds NaN or infinite samples.
    """
    if len(clip) == 1 and clip[0].sign == 1:
        _fill_part(clip[0], start, out)
        return
    if out.dtype != np.float32 and clip:
        raise TypeError(f"{clip[0].file.path}: a sum of files; read it as float32")
    out[:] = 0
    one = np.empty_like(out)
    for part in clip:
        _fill_part(part, start, one)
        (np.add if part.sign == 1 else np.subtract)(out, one, out=out)


def _fill_part(part: Part, start: int, out: np.ndarray) -> None:
    if start < 0:
        before = min(-start, len(out))
        out[:before] = 0
        start, out = 0, out[before:]
    count = max(0, min(len(out), part.samples - start))
    part.file.read_into(part.start + start, out[:count])
    out[count:] = 0
    if not part.file.integer:
        _check_finite(part, start, out[:count])


def _check_finite(part: Part, start: int, out: np.ndarray) -> None:
    # one such sample in a mixture would make the whole step's loss and gradient useless
    if np.isfinite(out).all():
        return
    at = part.start + start + int((~np.isfinite(out)).any(1).argmax())
    raise UserError(
        f"{part.file.path}: a sample at {at / part.file.rate:.2f} s is NaN or infinite; "
        "wanted finite samples"
    )
