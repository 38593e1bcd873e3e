"""MUSDB18-HQ without vocals: accompaniments to separate, or noise behind speech."""

from dataclasses import replace

from pipelines.datasets.musdb import OFFICIAL, open_as
from pipelines.tracks import folders
from pipelines.tracks.musdb_stems import SUFFIX
from pipelines.tracks.split import Request, Split
from xumx_jax.errors import UserError

SOURCES = ("drums", "bass", "other")


def open_musdb_voiceless(
    root, request: Request, *, valid_tracks=OFFICIAL, max_skipped: float = 0.1
) -> Split | None:
    """Open MUSDB18-HQ with the mixture drums + bass + other; splits are those of `musdb`."""
    place = request.root(root)
    subset = place / ("test" if request.split == "test" else "train")
    if folders.packed_in(subset) and not folders.track_folders(subset):
        raise UserError(
            f"{subset}: holds {SUFFIX}; wanted MUSDB18-HQ: <track>/{{drums,bass,other}}.wav"
        )
    split = open_as(
        "musdb_voiceless", root, request, is_wav=True, valid_tracks=valid_tracks,
        max_skipped=max_skipped,
    )  # fmt: skip
    if split is None:
        return None
    tracks = tuple(
        replace(
            track, mixture=None, files=(), aside=(),
            stems={name: track.stems[name] for name in SOURCES if name in track.stems},
        )
        for track in split.tracks
    )  # fmt: skip
    return replace(
        split, kind="musdb_voiceless", tracks=tracks, known=SOURCES, need_mixture=False,
        hint="train/<track>/{drums,bass,other}.wav",
    )  # fmt: skip
