"""MUSDB18: STEMS or WAV, with the validation split of the musdb package."""

import importlib.util
from pathlib import Path

from pipelines.datasets.cache import cache_folder
from pipelines.datasets.download import fetch_archive
from pipelines.datasets.stems_folder import kind_of
from pipelines.tracks import folders
from pipelines.tracks.musdb_stems import STREAMS, SUFFIX
from pipelines.tracks.opening import listed, say
from pipelines.tracks.split import Request, Split
from pipelines.tracks.sums import set_aside
from pipelines.tracks.track import Track, title_of
from xumx_jax.errors import UserError

OFFICIAL = "musdb"
HINT = f"train/*{SUFFIX} or train/<track>/{{mixture,drums,bass,other,vocals}}.wav"


def open_musdb(
    root, request: Request, *,
    is_wav: bool | None = None, valid_tracks=OFFICIAL, cache: str = "", max_skipped: float = 0.1,
) -> Split | None:  # fmt: skip
    """Open MUSDB18 (ROOT/train/*.stem.mp4) or MUSDB18-HQ (ROOT/train/<track>/<source>.wav).

    `is_wav` says which; None detects it. For training, STEMS are first decoded into `cache`.
    `valid_tracks` are the names of the tracks held out of train/: "musdb" for the 14 of the musdb
    package, "" for none. Without a root the preview of 7 s per track is downloaded into the cache.
    """
    return open_as(
        "musdb", root, request, is_wav=is_wav, valid_tracks=valid_tracks, cache=cache,
        max_skipped=max_skipped,
    )  # fmt: skip


def open_as(
    name: str, root, request: Request, *, is_wav, valid_tracks, max_skipped: float, cache: str = ""
) -> Split | None:
    """Open MUSDB18 for the data set of this name, in which messages have its options."""
    if request.split not in folders.SUBSETS:
        return None
    cache = cache_folder(cache)
    details = musdb_index()
    if not root:
        root = fetch_archive(details["sample-url"], cache / "musdb18-7", "MUSDB18 preview")
    root = request.root(root)
    folder = root / ("test" if request.split == "test" else "train")
    kind, tracks = list_tracks(folder, is_wav)
    if not request.training:  # training takes the four that it knows
        tracks = set_aside(folder, tracks)
    if request.split == "train" and not tracks:
        raise UserError(f"{root}: no tracks; wanted {HINT}")
    if request.split != "test":
        tracks = _share(name, root, request, details, tracks, valid_tracks)
    if not tracks:
        return None
    return Split(
        root, folder, request.split, kind, tuple(tracks), tuple(details["sources"]),
        need_mixture=True, max_skipped=max_skipped, cache=cache / "decoded",
    )  # fmt: skip


def list_tracks(folder: Path, is_wav: bool | None) -> tuple[str, tuple[Track, ...]]:
    """List the tracks in a folder: ("stems", tracks of .stem.mp4), or folders of stems.

    `is_wav` True lists only folders, False only STEMS; None lists STEMS if there are any, and then
    ignores folders.
    """
    paths = [] if is_wav else folders.packed_in(folder)
    if not paths and is_wav is not False:
        tracks = folders.tracks_in(folder)
        return kind_of(tracks), tracks
    streams = dict.fromkeys(STREAMS[1:], ())
    return "stems", tuple(
        folders.lost(path) or Track(title_of(path), path, streams, files=(path,)) for path in paths
    )


def _share(name, root, request: Request, details: dict, tracks, valid_tracks) -> list[Track]:
    """The tracks in train/ that belong to the requested split."""
    names = {track.name for track in tracks}
    official = valid_tracks == OFFICIAL
    held_out = set(details["validation_tracks"] if official else listed(valid_tracks))
    if not official and held_out - names:
        raise UserError(f"{root}: no track {sorted(held_out - names)[0]!r} to validate on")
    train = [track for track in tracks if track.name not in held_out]
    valid = [track for track in tracks if track.name in held_out]
    if request.split == "train" and request.training and not train:
        raise UserError(
            f"{root}: all {len(names)} tracks belong to the validation split; "
            f"{request.option(name, 'valid_tracks')}= (none) trains on them"
        )
    if request.split == "valid" and request.training and held_out and not valid:
        say(
            f"{root}: none of the {len(held_out)} validation tracks is there; "
            "training continues without validation"
        )
    return train if request.split == "train" else valid


def is_musdb(root: Path) -> bool:
    """Return whether a root holds MUSDB18: STEMS, or WAV with tracks of its validation split."""
    train = root / "train"
    if folders.packed_in(train):
        return True
    return any((train / name).is_dir() for name in musdb_index()["validation_tracks"])


def musdb_index() -> dict:
    """Read the index file of the musdb package without importing it, which would need ffmpeg."""
    import yaml

    found = importlib.util.find_spec("musdb")
    if found is None:
        raise UserError(
            "no package musdb, whose index lists the validation tracks; pip install musdb"
        )
    path = Path(found.submodule_search_locations[0]) / "configs" / "mus.yaml"
    try:
        return yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"{path}: not the index of musdb ({error})") from error
