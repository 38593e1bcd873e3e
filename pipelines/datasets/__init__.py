"""Data sets by name. Each opens as (training Set, validation Set or None)."""

import difflib
import inspect
from pathlib import Path

from pipelines.datasets.generated import open_generated
from pipelines.datasets.musdb import is_musdb, open_musdb
from pipelines.datasets.openunmix import (
    open_aligned,
    open_sourcefolder,
    open_trackfolder_fix,
    open_trackfolder_var,
)
from pipelines.datasets.records import open_records
from pipelines.datasets.stems_folder import open_folder
from pipelines.tracks.random_access import Set
from xumx_jax.errors import UserError

# open_xxx(root, targets, rate, channels, **options); `targets` are the model's sources.
DATASETS = {
    "folder": open_folder,
    "musdb": open_musdb,
    "aligned": open_aligned,
    "sourcefolder": open_sourcefolder,
    "trackfolder_fix": open_trackfolder_fix,
    "trackfolder_var": open_trackfolder_var,
    "generated": open_generated,
    "records": open_records,
}

# How examples are mixed where a recipe leaves it open: as the data set is meant.
RECIPES = {
    "aligned": {"same_song": 1.0, "gain": (1.0, 1.0), "swap": 0.0},
    "trackfolder_fix": {"same_song": 1.0},
    "trackfolder_var": {"same_song": 1.0},
}

# Examples in an epoch, unless its steps are given, where files are not tracks to be counted.
EXAMPLES = {"sourcefolder": 1000}


def options_of(name: str) -> dict:
    """The options of a data set and their defaults. Raises UserError for an unknown name."""
    parameters = inspect.signature(_opener(name)).parameters.values()
    return {
        p.name: p.default
        for p in parameters
        if p.kind is p.KEYWORD_ONLY and p.default is not p.empty
    }


def open_data(
    name: str, root, targets, rate: int, channels: int, options: dict, valid_seconds: float = 10.0
) -> tuple[Set, Set | None]:
    """Open a data set by name. Raises UserError for a name or an option that it does not know.

    Where validation is drawn rather than found, its mixes are `valid_seconds` long.
    """
    opener, known = _opener(name), options_of(name)
    for option in options:
        if option not in known:
            raise UserError(f"data set {name!r} has no option {option!r}{_nearest(option, known)}")
    if "valid_seconds" in inspect.signature(opener).parameters:
        options = {**options, "valid_seconds": valid_seconds}
    return opener(root, tuple(targets), int(rate), channels, **options)


def guess(root: str) -> str:
    """The name of the data set that a root holds: MUSDB18, or else folders of stems."""
    return "musdb" if not root or is_musdb(Path(root)) else "folder"


def _opener(name: str):
    if name not in DATASETS:
        raise UserError(f"unknown data set {name!r}{_nearest(name, DATASETS)}")
    return DATASETS[name]


def _nearest(word: str, known) -> str:
    close = difflib.get_close_matches(word, known, 1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{hint}; known: {', '.join(known)}"
