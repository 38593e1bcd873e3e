"""Tracks whose folders hold the same few files: a part of several data sets."""

from collections.abc import Mapping
from pathlib import Path

from pipelines.tracks import folders
from pipelines.tracks.split import Request
from pipelines.tracks.track import Part, Track
from xumx_jax.errors import UserError


def tracks_of(folder: Path, sources: Mapping[str, str], mixture: str = "") -> tuple[Track, ...]:
    """The tracks in a folder: {source: the name of its file without suffix}, perhaps a mixture's.

    Files are WAV or FLAC. A track that lacks one has a `fault` that says what is there instead.
    """

    def track(place: Path) -> Track:
        named = {**sources, **({"": mixture} if mixture else {})}
        found = {source: folders.find_stem(place, file) for source, file in named.items()}
        parts = {source: (Part(path),) for source, path in found.items() if path is not None}
        lacking = [file for source, file in named.items() if source not in parts]
        fault = ""
        if lacking:
            files = ", ".join(f"{file}.wav" for file in lacking)
            fault = f"{place}: no {files} (nor .flac); {folders.described(place)}"
        whole = parts.pop("", None)
        return Track(place.name, place, parts, whole, fault=fault)

    return tuple(folders.lost(place) or track(place) for place in folders.track_folders(folder))


def folder_of(root: Path, name: str, request: Request, layout: str) -> Path | None:
    """ROOT/<name>, for a split called so; None if training can do without it.

    Raises UserError, with what is there instead, if there is no such folder and it is needed.
    """
    if (root / name).is_dir():
        return root / name
    if request.training and request.split != "train":
        return None
    raise UserError(f"{root}: no folder {name} in it; wanted {layout}; {folders.described(root)}")
