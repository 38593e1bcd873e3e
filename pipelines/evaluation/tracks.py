"""The tracks of a test set: MUSDB18 as STEMS or WAV, or any folders of stems."""

import hashlib
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipelines.datasets import stems_folder
from pipelines.tracks import opening as index
from pipelines.tracks.musdb_stems import STREAMS, SUFFIX
from xumx_jax.errors import UserError
from xumx_jax.weights import store

MIXTURE, VOCALS, ACCOMPANIMENT = "mixture", "vocals", "accompaniment"
ORDER = ("vocals", "drums", "bass", "other")  # of columns; what else there is comes after
SUBSETS = ("train", "valid", "test")
WANTED = f"<track>{SUFFIX}, or <track>/ with vocals.wav, drums.wav, bass.wav and other.wav in it"


@dataclass(frozen=True)
class Track:
    """One track: `path` is its .stem.mp4 or its folder, `sources` the stems in it."""

    name: str
    path: Path
    sources: tuple[str, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """Its .stem.mp4, or all audio files in its folder."""
        if self.path.is_file():
            return (self.path,)
        return tuple(sorted(stems_folder.audio_files(self.path)))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of its files, by which other music of the same name is told: 1 s per GB."""
        state = hashlib.sha256()
        for file in self.files:
            state.update(f"{file.name} {store.digest(file)}\n".encode())
        return state.hexdigest()


@dataclass(frozen=True)
class Data:
    """A test set.

    kind      "stems" (.stem.mp4), "wav" (folders with a mixture) or "folder" (without one: the
              mixture is the sum)
    sources   that any track has
    common    those that more than half of the tracks have: every track should
    """

    root: Path
    subset: str
    kind: str
    tracks: tuple[Track, ...]
    sources: tuple[str, ...]
    common: tuple[str, ...]

    @property
    def targets(self) -> tuple[str, ...]:
        """Every target that can be asked for: sources, and "accompaniment", all but vocals."""
        if VOCALS in self.sources and len(self.sources) > 1:
            return tuple(dict.fromkeys([*self.sources, ACCOMPANIMENT]))
        return self.sources

    def parts(self, track: Track, target: str) -> tuple[str, ...]:
        """The sources that add up to a target of a track."""
        if target in self.sources or target != ACCOMPANIMENT:
            return (target,)
        every = [*self.common, *(name for name in track.sources if name not in self.common)]
        return tuple(name for name in every if name != VOCALS)


def find(root, subset: str, is_wav: bool = False) -> Data:
    """List ROOT/<subset>/*.stem.mp4, or ROOT/<subset>/<track>/, or else ROOT/<track>/.

    STEMS are taken where there are any, unless `is_wav`. Raises UserError naming the subsets that
    are there if it is none of them.
    """
    root = Path(root).expanduser()
    if not root.is_dir():
        raise UserError(
            f"{root}: no such folder; wanted the root of MUSDB18 or of folders of stems"
        )
    folder = root / subset
    if not folder.is_dir():
        folder = _flat(root, subset)
    packed = [] if is_wav else sorted(folder.glob(f"*{SUFFIX}"))
    if packed:
        sources = STREAMS[1:]
        tracks = [Track(path.name.removesuffix(SUFFIX), path, sources) for path in packed]
        kind = "stems"
    else:
        names = index.subfolders(folder)
        found = {name: _audio_names(folder / name) for name in names}
        kind = "wav" if any(MIXTURE in names for names in found.values()) else "folder"
        tracks = [Track(name, folder / name, _atoms(stems)) for name, stems in found.items()]
    counts = Counter(source for track in tracks for source in track.sources)
    if not counts:
        raise UserError(f"{folder}: no tracks; wanted {WANTED}")
    sources = in_order(counts)
    common = tuple(name for name in sources if 2 * counts[name] > len(tracks))
    return Data(root, subset, kind, tuple(tracks), sources, common)


def choose(data: Data, names=None, limit: int | None = None) -> tuple[Track, ...]:
    """The tracks of these names, at most `limit`. Raises UserError for a name that is not there."""
    known = {track.name: track for track in data.tracks}
    for name in names or ():
        if name not in known:
            raise UserError(f"unknown track {name!r}; {data.root} has {', '.join(known)}")
    chosen = [known[name] for name in dict.fromkeys(names)] if names else list(known.values())
    return tuple(chosen[:limit])


def in_order(names) -> tuple[str, ...]:
    """Sources as columns are: vocals, drums, bass, other, then the rest by name."""
    names = set(names)
    first = [name for name in ORDER if name in names]
    last = [ACCOMPANIMENT] if ACCOMPANIMENT in names else []
    return (*first, *sorted(names - {*ORDER, ACCOMPANIMENT}), *last)


def _flat(root: Path, subset: str) -> Path:
    """The root itself, if tracks lie right in it. Raises UserError if not."""
    subsets = [name for name in index.subfolders(root) if _has_tracks(root / name)]
    if subsets:
        raise UserError(f"unknown subset {subset!r}; {root} has {', '.join(subsets)}")
    if not _has_tracks(root):
        raise UserError(f"{root / subset}: no such folder; wanted {WANTED}")
    if root.name in SUBSETS and root.name != subset:
        raise UserError(
            f"{root}: holds tracks, but is not called {subset!r}; "
            f"wanted --subset {root.name}, or its parent as --root"
        )
    return root


def _has_tracks(folder: Path) -> bool:
    return any(folder.glob(f"*{SUFFIX}")) or any(
        stems_folder.audio_files(folder / name) for name in index.subfolders(folder)
    )


def _audio_names(folder: Path) -> set[str]:
    return {path.stem for path in stems_folder.audio_files(folder)}


def _atoms(names) -> tuple[str, ...]:
    """The stems that add up to the mixture: an accompaniment beside its own parts is none."""
    names = set(names) - {MIXTURE}
    if names - {VOCALS, ACCOMPANIMENT}:
        names.discard(ACCOMPANIMENT)
    return in_order(names)
