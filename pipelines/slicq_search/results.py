"""What a search has found so far: a file of JSON lines, complete after every trial.

The first line holds the settings, each further one a row. A later run with the same settings goes
on with it.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from xumx_jax import files
from xumx_jax.errors import UserError


@dataclass(frozen=True)
class Row:
    """One transform and its scores.

    name          of the transform, for people
    number        of the trial; None: a row to compare with
    parameters    of the transform
    slice         its samples, or those of a frame
    bands         of the transform
    redundancy    complex coefficients for each sample
    score         in dB: the mean over tracks, then over targets
    targets       {target: dB}, the mean over tracks
    compile_seconds, seconds   of compiling, and of everything
    """

    name: str
    number: int | None
    parameters: dict
    slice: int
    bands: int
    redundancy: float
    score: float
    targets: dict[str, float]
    compile_seconds: float = 0.0
    seconds: float = 0.0


@dataclass
class Results:
    """The rows of a search, in the order in which they were found."""

    path: Path
    settings: dict
    rows: list[Row] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Keep one more row. Raises UserError if the file cannot be written."""
        self.rows.append(row)
        lines = [{"settings": self.settings}, *map(asdict, self.rows)]
        files.write(self.path, "".join(f"{json.dumps(line)}\n" for line in lines))

    def trials(self) -> dict[int, Row]:
        """{number: row} of the trials."""
        return {row.number: row for row in self.rows if row.number is not None}

    def names(self) -> set[str]:
        """The names of the rows to compare with."""
        return {row.name for row in self.rows if row.number is None}


def opened(path: Path, settings: dict) -> Results:
    """Read the results of an earlier run, if there is one, to go on with.

    Raises UserError if its settings were others, or if the file is something else.
    """
    settings = json.loads(json.dumps(settings))
    try:
        text = path.read_text()
    except FileNotFoundError:
        return Results(path, settings)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise UserError(f"{path}: cannot be read: {reason}") from error
    try:
        first, *others = [json.loads(line) for line in text.splitlines()]
        before, rows = dict(first["settings"]), [Row(**other) for other in others]
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"{path}: does not hold the results of a search; use another --out"
        ) from error
    for name in {**before, **settings}:
        if before.get(name) != settings.get(name):
            was, wanted = (_short(found.get(name)) for found in (before, settings))
            raise UserError(
                f"{path}: holds a search with {name} {was}, not {wanted}; use another --out, or "
                "the same options to go on"
            )
    return Results(path, settings, rows)


def _short(value) -> str:
    text = json.dumps(value)
    return text if len(text) < 80 else f"{text[:60]} ..."
