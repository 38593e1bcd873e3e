"""Data sets by name: which tracks their splits train, valid and test have.

A data set is a function in its own file and an entry in `DATASETS`: that is all that training and
evaluation need. The function is

    open_xxx(root, request, *, option=default, ...) -> Split | None

`root` is what the user gave, or ""; `request` says which split is wanted and for what
(`pipelines.tracks.split.Request`). It returns the split's tracks, each with the files, or parts of
files, that add up to its sources, or None if the data have no such split. It opens no audio unless
it has to know the lengths of files; files that do not fit are found when they are read. It raises
UserError for a root without such data. Options have plain values as defaults, which determine their
types; if the default is None, the annotation does (`bool | None`). They appear as
`--config.data.NAME.OPTION` and as `--dataset-option`.

What only some data sets need is in dictionaries here: options that do not change what is read
(`FREE_OPTIONS`), how examples are mixed (`RECIPES`) and counted (`EXAMPLES`).

How a track is read is not here but in `pipelines.tracks`, and how excerpts are mixed is in
`pipelines.mixing`.
"""

import ast
import difflib
import inspect
from collections.abc import Sequence
from dataclasses import replace
from types import NoneType, UnionType
from typing import Union, get_args, get_origin

from pipelines.datasets import decoded
from pipelines.datasets.dnr import open_dnr
from pipelines.datasets.generated import open_generated
from pipelines.datasets.label_noise import open_bleed, open_label_noise
from pipelines.datasets.musdb import is_musdb, open_musdb
from pipelines.datasets.musdb_voiceless import open_musdb_voiceless
from pipelines.datasets.openunmix import open_aligned, open_trackfolder_fix, open_trackfolder_var
from pipelines.datasets.records import open_records
from pipelines.datasets.sourcefolder import open_sourcefolder
from pipelines.datasets.speech_noise import open_speech_noise
from pipelines.datasets.stems_folder import open_folder
from pipelines.tracks import opening
from pipelines.tracks.random_access import Tracks
from pipelines.tracks.split import Request, Split
from xumx_jax import files
from xumx_jax.errors import UserError

DATASETS = {
    "folder": open_folder,
    "musdb": open_musdb,
    "aligned": open_aligned,
    "sourcefolder": open_sourcefolder,
    "trackfolder_fix": open_trackfolder_fix,
    "trackfolder_var": open_trackfolder_var,
    "generated": open_generated,
    "records": open_records,
    "dnr": open_dnr,
    "label_noise": open_label_noise,
    "bleed": open_bleed,
    "musdb_voiceless": open_musdb_voiceless,
    "speech_noise": open_speech_noise,
}

# Options that may change from one start of a run to the next: the same data are read.
FREE_OPTIONS = {
    "musdb": ("cache",),
    "generated": ("cache", "processes", "test_songs"),
    "speech_noise": ("speech", "noise"),
}

# How examples are mixed where a recipe leaves it open: as the data set intends.
RECIPES = {
    "aligned": {"same_song": 1.0, "gain": (1.0, 1.0), "swap": 0.0},
    "trackfolder_fix": {"same_song": 1.0},
    "trackfolder_var": {"same_song": 1.0},
    "dnr": {"same_song": 1.0, "gain": (1.0, 1.0), "swap": 0.0},
    "speech_noise": {"gain": (1.0, 1.0), "swap": 0.0},  # levels are those of its scene
}

# Examples in an epoch, unless its steps are given, for data whose files are not tracks.
EXAMPLES = {"sourcefolder": 1000, "speech_noise": 1000}


def options_of(name: str) -> dict:
    """The options of a data set and their defaults. Raises UserError for an unknown name."""
    return {option: parameter.default for option, parameter in _parameters(name).items()}


def kind_of(parameter: inspect.Parameter) -> type:
    """The type of an argument's values, by its annotation: of `tuple[int, ...] | None` tuple."""
    kind = parameter.annotation
    if kind is parameter.empty:
        raise TypeError(f"{parameter.name} may be None: wanted an annotation that says what else")
    if get_origin(kind) in (Union, UnionType):
        kind = next(each for each in get_args(kind) if each is not NoneType)
    return get_origin(kind) or kind


def parse_options(name: str, words: Sequence[str]) -> dict:
    """Parse options of a data set: ["max_skipped=0.5"] -> {"max_skipped": 0.5}.

    Raises UserError for a word that is not KEY=VALUE, an unknown key or a value of the wrong type.
    """
    found, known = {}, options_of(name)
    for word in words:
        option, equals, text = word.partition("=")
        if not equals:
            raise UserError(f"--dataset-option {word}: wanted KEY=VALUE")
        _check_option(name, option, known)
        default = known[option]
        kind = kind_of(_parameters(name)[option]) if default is None else type(default)
        try:
            found[option] = _value(text, kind)
        except (ValueError, SyntaxError) as error:
            raise UserError(
                f"--dataset-option {option}: got {text!r}, wanted {kind.__name__}"
            ) from error
    return found


def open_split(name: str, root, request: Request, options: dict) -> Split | None:
    """Open one split of a data set; None if it has no such split.

    Raises UserError for an unknown name or option, and whenever the data set does.
    """
    opener, known = _opener(name), options_of(name)
    for option in options:
        _check_option(name, option, known)
    return opener(root, request, **options)


def open_tracks(
    name: str, splits: Sequence[str], root, targets, rate: int, channels: int, options: dict,
    seconds: float = 10.0,
) -> list[Tracks | None]:  # fmt: skip
    """Open several splits of a data set for random access, all with the sources of the first.

    `targets`, `rate` and `channels` are the model's. Mixes that are drawn rather than found are
    `seconds` long. Raises UserError as `open_split` and `opening.open_tracks` do.
    """
    request = Request("", tuple(targets), int(rate), channels, seconds)
    found = [open_split(name, root, replace(request, split=split), options) for split in splits]
    opened, known = [], ()
    for split in decoded.unpack(found):
        if split is None:
            opened.append(None)
            continue
        tracks = opening.open_tracks(split, request.targets, request.rate, channels, known)
        opened.append(tracks)
        known = known or tracks.sources
    return opened


def open_data(
    name: str, root, targets, rate: int, channels: int, options: dict, valid_seconds: float = 10.0
) -> tuple[Tracks, Tracks | None]:
    """Open a data set to train on and, if it has a split for it, to validate on.

    Raises UserError as `open_tracks` does, and if there is nothing to train on.
    """
    splits = ("train", "valid")
    train, valid = open_tracks(name, splits, root, targets, rate, channels, options, valid_seconds)
    if train is None:
        raise UserError(f"{root}: data set {name!r} has no split 'train' there")
    return train, valid


def guess(root: str) -> str:
    """The name of the data set in a root: MUSDB18, or else folders of stems."""
    return "musdb" if not root or is_musdb(files.expanded(root)) else "folder"


def _parameters(name: str) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(_opener(name)).parameters.values()
    return {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY}


def _opener(name: str):
    if name not in DATASETS:
        raise UserError(f"unknown data set {name!r}{_nearest(name, DATASETS)}")
    return DATASETS[name]


def _check_option(name: str, option: str, known) -> None:
    if option not in known:
        raise UserError(f"data set {name!r} has no option {option!r}{_nearest(option, known)}")


def _value(text: str, kind: type):
    """Parse a word as a Python value; names with commas stay one string."""
    if kind in (str, tuple):
        return text
    if kind is bool and text.lower() in ("true", "false"):
        return text.lower() == "true"
    value = ast.literal_eval(text)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise ValueError(text)
    return value


def _nearest(word: str, known) -> str:
    close = difflib.get_close_matches(word, known, 1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{hint}; known: {', '.join(known)}"
