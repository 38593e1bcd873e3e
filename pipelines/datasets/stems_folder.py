"""Folders of stems: ROOT/{train,valid,test}/<track>/<source>.wav or .flac."""

from pipelines.tracks import folders
from pipelines.tracks.opening import listed
from pipelines.tracks.split import Request, Split
from pipelines.tracks.wav import SUFFIXES


def open_folder(root, request: Request, *, sources=(), max_skipped: float = 0.1) -> Split | None:
    """Open ROOT/<split>; to train ROOT itself if there is no train/, to validate valid/ or test/.

    `sources` (names, or one string with commas) are the files that make up the mixture; by default
    all that more than half of the training tracks have. A `mixture` file that every track has is
    used for validation and statistics.
    """
    root = request.root(root)
    folder = request.folder(root)
    if folder is None:
        return None
    tracks = folders.tracks_in(folder)
    if not tracks and request.split != "train":
        return None
    wanted = (", ".join(f"{t}{suffix}" for t in request.targets) for suffix in SUFFIXES)
    return Split(
        root, folder, request.split, kind_of(tracks), tracks, listed(sources),
        max_skipped=max_skipped, hint=f"folders with {' or '.join(wanted)} in them",
    )  # fmt: skip


def kind_of(tracks) -> str:
    """What reports call tracks in folders: "wav" with a mixture in any, "folder" without."""
    return "wav" if any(track.mixture is not None for track in tracks) else "folder"
