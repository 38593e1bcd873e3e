"""Folders of stems: ROOT/{train,valid,test}/<track>/<source>.wav or .flac."""

from dataclasses import replace

from pipelines.tracks import folders
from pipelines.tracks.names import ACCOMPANIMENT
from pipelines.tracks.opening import listed
from pipelines.tracks.split import Request, Split
from pipelines.tracks.sums import set_aside
from pipelines.tracks.track import Track
from pipelines.tracks.wav import SUFFIXES


def open_folder(root, request: Request, *, sources=(), max_skipped: float = 0.1) -> Split | None:
    """Open ROOT/<split>; to train, ROOT itself if it has no train/; to validate, valid/ or test/.

    `sources` (names, or one string with commas) are the files that make up the mixture; by default
    all that more than half of the training tracks have and that are no sums of others. If every
    track has a `mixture` file, it is used for validation and statistics.
    """
    root = request.root(root)
    folder = request.folder(root)
    if folder is None:
        return None
    tracks = folders.tracks_in(folder)
    if not tracks and request.split != "train":
        return None
    chosen = listed(sources)
    if not chosen:
        option = f"{request.option('folder', 'sources')}=NAME,..."
        # accompaniment is always the sum of what is there, and needs no file
        targets = [target for target in request.targets if target != ACCOMPANIMENT]
        tracks = set_aside(folder, tracks, targets, option)
    elif not request.training:
        tracks = tuple(_with_sources(track, chosen) for track in tracks)
    wanted = (", ".join(f"{t}{suffix}" for t in request.targets) for suffix in SUFFIXES)
    return Split(
        root, folder, request.split, kind_of(tracks), tracks, chosen,
        max_skipped=max_skipped, hint=f"folders with {' or '.join(wanted)} in them",
    )  # fmt: skip


def _with_sources(track: Track, sources) -> Track:
    """A track reduced to these sources, and identified by them: its mixture may be their sum."""
    stems = {name: clip for name, clip in track.stems.items() if name in sources}
    return replace(track, stems=stems, files=(), aside=())


def kind_of(tracks) -> str:
    """The kind of tracks in folders, for reports: "wav" if any has a mixture, else "folder"."""
    return "wav" if any(track.mixture is not None for track in tracks) else "folder"
