"""Which tracks are evaluated: MUSDB18 or folders of stems as they are found, or any data set."""

from collections.abc import Sequence
from dataclasses import replace

from pipelines import datasets
from pipelines.datasets.musdb import list_tracks
from pipelines.tracks import folders
from pipelines.tracks.split import Request, Split
from pipelines.tracks.sums import set_aside
from pipelines.tracks.track import Track, with_file_names
from xumx_jax import files
from xumx_jax.errors import UserError


def find(root, subset: str, is_wav: bool = False) -> Split:
    """List ROOT/<subset>/*.stem.mp4, or ROOT/<subset>/<track>/, or else ROOT/<track>/.

    STEMS are used if there are any, unless `is_wav`. Raises UserError naming the existing subsets
    if there is no such subset.
    """
    root = files.expanded(root)
    folder = folders.split_for_evaluation(root, subset)
    kind, tracks = list_tracks(folder, is_wav or None)
    found = Split(root, folder, subset, kind, set_aside(folder, tracks))
    if not found.sources:
        raise UserError(f"{folder}: no tracks; wanted {folders.WANTED}")
    return with_names(found)


def open_dataset(
    name: str, root, subset: str, targets: Sequence[str] = (), options: dict | None = None
) -> Split:
    """Open a split of a data set by its name; `targets` name the target where files do not.

    Raises UserError as the data set does, and if it has no such split or one without tracks.
    """
    request = Request(subset, tuple(targets), training=False)
    found = datasets.open_split(name, root, request, options or {})
    place = f"{root}: data set {name!r}" if root else f"data set {name!r}"
    if found is None:
        raise UserError(f"{place} has no split {subset!r}; use another --subset")
    if found.clips is not None:
        raise UserError(
            f"{place}: the sources of its split {subset!r} do not belong together, so there is "
            "nothing to separate; use another --subset"
        )
    if not found.sources:
        raise UserError(f"{found.folder}: no tracks; wanted {found.hint}")
    return with_names(found)


def with_names(data: Split) -> Split:
    """The same data, its tracks under names that can be those of files: see `with_file_names`."""
    return replace(data, tracks=with_file_names(data.tracks))


def choose(data: Split, names=None, limit: int | None = None) -> tuple[Track, ...]:
    """Choose tracks by name, at most `limit`. Raises UserError for an unknown name."""
    known = {track.name: track for track in data.tracks}
    for name in names or ():
        if name not in known:
            raise UserError(f"unknown track {name!r}; {data.root} has {', '.join(known)}")
    chosen = [known[name] for name in dict.fromkeys(names)] if names else list(known.values())
    return tuple(chosen[:limit])
