"""Training sets of the Sound Demixing Challenge 2023 with faults: label noise, and bleed.

Fabbro et al., "The Sound Demixing Challenge 2023: Music Demixing Track" (TISMIR 2024). In the one,
stems hold instruments of others; in the other, instruments are heard faintly in all stems.
"""

import csv
from pathlib import Path

from pipelines.datasets.named_stems import tracks_of
from pipelines.tracks import folders
from pipelines.tracks.shares import divide
from pipelines.tracks.split import Request, Split
from xumx_jax import files
from xumx_jax.errors import UserError

SOURCES = ("drums", "bass", "other", "vocals")
LAYOUT = "<track>/{drums,bass,other,vocals}.wav"
HEADER = ("ID", "Clean", "Notes")
HELD_OUT = 0.1  # share of the tracks; AIMLESS: the last tenth of the list that the disk gives
SHOWN = 5  # names in one message


def open_label_noise(
    root, request: Request, *, clean: str = "", max_skipped: float = 0.1
) -> Split | None:
    """Open ROOT/<track>/{drums,bass,other,vocals}.wav, whose sum is the mixture.

    A tenth of the tracks, chosen by their names, is held out to validate and test on (AIMLESS
    validates on its training tracks here). `clean` is a CSV file `ID,Clean,Notes`: tracks with `Y`
    in its second column are used, no others.
    """
    return _open("label_noise", root, request, clean, max_skipped)


def open_bleed(
    root, request: Request, *, clean: str = "", max_skipped: float = 0.1
) -> Split | None:
    """Open a folder like that of `label_noise`, with its options, of stems with bleed."""
    return _open("bleed", root, request, clean, max_skipped)


def _open(name: str, root, request: Request, clean: str, max_skipped: float) -> Split | None:
    if request.split not in folders.SUBSETS:
        return None
    root = request.root(root)
    tracks = tracks_of(root, {source: source for source in SOURCES})
    if not tracks:
        prepared = (
            "; data set 'folder' reads train/ and valid/" if (root / "train").is_dir() else ""
        )
        found = folders.described(root)
        raise UserError(f"{root}: no tracks; wanted {LAYOUT}; {found}{prepared}")
    if clean:
        chosen = clean_tracks(files.expanded(clean), {track.name for track in tracks}, root)
        tracks = tuple(track for track in tracks if track.name in chosen)
    shares = {"train": 1 - HELD_OUT, "valid": HELD_OUT}
    divided = divide((track.name for track in tracks), shares)
    own = set(divided["train" if request.split == "train" else "valid"])
    if not own:  # of a single track
        return None
    tracks = tuple(track for track in tracks if track.name in own)
    return Split(
        root, root, request.split, name, tracks, SOURCES, max_skipped=max_skipped, hint=LAYOUT
    )


def clean_tracks(path: Path, known: set[str], root: Path) -> set[str]:
    """The tracks that a CSV file calls clean.

    Raises UserError if it cannot be read, has another header, names unknown tracks, or calls none
    clean.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            header, *rows = [row for row in csv.reader(lines) if any(map(str.strip, row))] or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: cannot be read as CSV ({reason})") from error
    wanted = ",".join(HEADER)
    if tuple(word.strip().lower() for word in header[:2]) != ("id", "clean"):
        raise UserError(f"{path}: begins with {','.join(header)!r}; wanted {wanted!r}")
    for number, row in enumerate(rows, 2):
        if len(row) < 2:
            raise UserError(f"{path}: row {number} is {','.join(row)!r}; wanted {wanted}")
    marks = {row[0].strip(): row[1].strip().upper() == "Y" for row in rows}
    if unknown := sorted(marks.keys() - known):
        names = ", ".join(unknown[:SHOWN])
        more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
        raise UserError(f"{path}: names tracks that {root} does not have: {names}{more}")
    if not any(marks.values()):
        raise UserError(f"{path}: no track has Y in its second column, so none would be used")
    return {name for name, clean in marks.items() if clean}
