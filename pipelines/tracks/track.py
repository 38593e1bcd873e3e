"""One piece of music: which parts of which files add up to each of its sources."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from pipelines.tracks.musdb_stems import SUFFIX
from pipelines.tracks.names import ACCOMPANIMENT, MIXTURE, ORDER
from xumx_jax import files


@dataclass(frozen=True)
class Part:
    """`samples` of a file from sample `start` on, added (sign 1) or subtracted (-1).

    `file` is a `wav.File`, or an object with its methods. A path stands for the whole of a file
    that has not been probed yet; `samples` is not known then.
    """

    file: Any
    sign: int = 1
    start: int = 0
    samples: int | None = None


# The sum of its parts; without parts it is silence.
Clip = tuple[Part, ...]


def whole(file) -> Part:
    """The whole of a probed file."""
    return Part(file, 1, 0, file.samples)


def length(clip: Clip) -> int:
    """The length of the longest part of a clip whose files have been probed, in samples."""
    return max((part.samples for part in clip), default=0)


@dataclass(frozen=True)
class Track:
    """One piece of music, before any of its files is opened.

    path     its folder, or its .stem.mp4, whose streams have no clips before they are decoded
    stems    {source: clip}
    mixture  None: the sum of the stems
    files    all its files, if they identify it; otherwise the parts of its clips do
    fault    why it cannot be used, if it cannot
    aside    the stems that are no sources, because they hold others
    """

    name: str
    path: Path
    stems: Mapping[str, Clip]
    mixture: Clip | None = None
    files: tuple[Path, ...] = ()
    fault: str = ""
    aside: tuple[str, ...] = ()

    @property
    def packed(self) -> bool:
        """Whether it is one .stem.mp4."""
        return is_packed(self.path)

    @property
    def sources(self) -> tuple[str, ...]:
        """The stems that add up to the mixture."""
        if self.packed:
            return tuple(self.stems)
        return in_order(set(self.stems) - set(self.aside))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of its music, to distinguish other music of the same name: 1 s per GB."""
        if self.files:
            return files.digest_of_all((file.name, file) for file in self.files)

        @cache
        def content(file) -> str:
            return files.digest(file) if isinstance(file, Path) else file.digest

        return files.digest_of(
            f"{name} {part.sign} {part.start} {part.samples} {content(part.file)}\n"
            for name, clip in (*self.stems.items(), (MIXTURE, self.mixture or ()))
            for part in clip
        )


def is_packed(path: Path) -> bool:
    """Return whether a path is that of a .stem.mp4."""
    return path.name.lower().endswith(SUFFIX)


def title_of(path: Path) -> str:
    """The title of a .stem.mp4: its name without that ending."""
    return path.name[: -len(SUFFIX)]


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Sort sources like columns: vocals, drums, bass, other, then the rest by name."""
    names = set(names)
    first = [name for name in ORDER if name in names]
    last = [ACCOMPANIMENT] if ACCOMPANIMENT in names else []
    return (*first, *sorted(names - {*ORDER, ACCOMPANIMENT}), *last)


def with_file_names(tracks: Sequence[Track]) -> tuple[Track, ...]:
    """The same tracks under names that can name their files and folders, each its own.

    A title is data, not a path: of "AC/DC" or ".." the name would be another folder.
    """
    used, made = {track.name for track in tracks}, []
    taken: set[str] = set()
    for number, track in enumerate(tracks, 1):
        title = track.name.replace("/", "-").replace("\0", "")
        name = base = files.safe_name(title, f"track {number}")
        count = 1
        while name in taken or (name != track.name and name in used):
            count += 1
            name = f"{base} ({count})"
        taken.add(name)
        made.append(replace(track, name=name))
    return tuple(made)
