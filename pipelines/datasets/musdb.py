"""MUSDB18: STEMS or WAV, with the validation split of the musdb package."""

import importlib.util
from pathlib import Path

from pipelines.datasets import stems_folder
from pipelines.datasets.cache import cache_folder
from pipelines.datasets.decoded import decode_all
from pipelines.datasets.download import fetch_archive
from pipelines.tracks import opening as index
from pipelines.tracks.musdb_stems import SUFFIX
from pipelines.tracks.random_access import Set
from xumx_jax.errors import UserError

OFFICIAL = "musdb"
HINT = f"train/*{SUFFIX} or train/<track>/{{mixture,drums,bass,other,vocals}}.wav"


def open_musdb(
    root, targets, rate: int, channels: int, *,
    is_wav: bool | None = None, valid_tracks=OFFICIAL, cache: str = "", max_skipped: float = 0.1,
) -> tuple[Set, Set | None]:  # fmt: skip
    """Open MUSDB18 (ROOT/train/*.stem.mp4) or MUSDB18-HQ (ROOT/train/<track>/<source>.wav).

    `is_wav` says which; None looks. STEMS are decoded into the `cache` folder first. `valid_tracks`
    are the names of the tracks held out of train/: "musdb" for the 14 of the musdb package, "" for
    none. Without a root the preview of 7 s per track is downloaded into the cache.
    """
    cache = cache_folder(cache)
    details = musdb_index()
    if not root:
        root = fetch_archive(details["sample-url"], cache / "musdb18-7", "MUSDB18 preview")
    root = index.folder(root)
    names, describe = _tracks(root / "train", is_wav, cache / "decoded")
    if not names:
        raise UserError(f"{root}: no tracks; wanted {HINT}")

    official = valid_tracks == OFFICIAL
    held_out = set(details["validation_tracks"] if official else index.listed(valid_tracks))
    if not official and held_out - set(names):
        raise UserError(f"{root}: no track {sorted(held_out - set(names))[0]!r} to validate on")
    train = [name for name in names if name not in held_out]
    valid = [name for name in names if name in held_out]
    if not train:
        raise UserError(
            f"{root}: all {len(names)} tracks belong to the validation split; "
            "--config.data.musdb.valid_tracks= (none) trains on them"
        )
    if held_out and not valid:
        index.say(
            f"{root}: none of the {len(held_out)} validation tracks is there; "
            "training goes without validation"
        )
    known = list(details["sources"])
    sources, mixing = index.arrange(root, targets, known)

    def opened(names):
        return index.open_set(
            root / "train", names, lambda name: describe(name, sources), sources, mixing,
            rate, channels, max_skipped,
        )  # fmt: skip

    return opened(train), opened(valid) if valid else None


def is_musdb(root: Path) -> bool:
    """Say whether a root holds MUSDB18: STEMS, or WAV with tracks of its validation split."""
    train = root / "train"
    if any(train.glob(f"*{SUFFIX}")):
        return True
    return any((train / name).is_dir() for name in musdb_index()["validation_tracks"])


def musdb_index() -> dict:
    """Read the index file of the musdb package, without importing it: that would want ffmpeg."""
    import yaml

    found = importlib.util.find_spec("musdb")
    if found is None:
        raise UserError("no package musdb, whose index says which tracks validate; pip install it")
    path = Path(found.submodule_search_locations[0]) / "configs" / "mus.yaml"
    try:
        return yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"{path}: not the index of musdb ({error})") from error


def _tracks(folder: Path, is_wav: bool | None, cache: Path):
    """Names in train/, and what finds the files of a name for given sources."""
    stems = {p.name.removesuffix(SUFFIX): p for p in sorted(folder.glob(f"*{SUFFIX}"))}
    folders = index.subfolders(folder) if folder.is_dir() else []
    if is_wav is None:
        is_wav = not stems  # beside them, a folder is a stray one
    if is_wav:
        places, failed = {name: folder / name for name in folders}, {}
    else:
        decoded, bad = decode_all(list(stems.values()), cache)
        places = {name: decoded.get(path) for name, path in stems.items()}
        failed = {name: bad[path] for name, path in stems.items() if path in bad}

    def describe(name: str, sources) -> index.Track:
        if name in failed:
            raise failed[name]
        mixture = stems_folder.stem_file(places[name], stems_folder.MIXTURE)
        files = (stems_folder.stem_file(places[name], source) for source in sources)
        return index.Track(tuple(((path, 1),) for path in files), ((mixture, 1),))

    return list(places), describe
