"""What is told of each file of a catalogue: JSON beside its stems, and a table of all, in Parquet.

A row has the same columns whatever became of the file; what is not known is None.
"""

import json
import socket
import tempfile
from contextlib import suppress
from math import isfinite
from pathlib import Path
from typing import Any

from xumx_jax import files, stores
from xumx_jax.errors import UserError

DONE, SKIPPED, FAILED, INTERRUPTED = "done", "skipped", "failed", "interrupted"
_AT_ONCE = 1000  # rows that are held before they are written
# {column: its type in Parquet}; maps are of stems
COLUMNS = {
    "input": "string",
    "name": "string",
    "status": "string",
    "error": "string",
    "seconds": "double",
    "took_seconds": "double",
    "null_error_db": "double",
    "gain": "double",
    "peaks": "map",
    "outputs": "list",
    "warnings": "list",
    "version": "string",
    "host": "string",
}


def begin(entry) -> dict[str, Any]:
    """The row of an entry before anything is done with it."""
    from xumx_jax.versions import own

    row = dict.fromkeys(COLUMNS)
    row |= {"input": entry.label, "name": entry.name or None, "version": own()}
    return row | {"host": socket.gethostname(), "outputs": [], "warnings": []}


def as_json(row: dict) -> bytes:
    """A row as the file beside the stems; numbers that JSON has not got are null."""
    return (json.dumps(_finite(row), indent=1, allow_nan=False) + "\n").encode()


def parse(report: bytes | None) -> dict[str, Any]:
    """What a report says, as far as it is one: {} if it is not."""
    try:
        found = json.loads(report or b"{}")
    except ValueError:
        return {}
    known = found if isinstance(found, dict) else {}
    return {name: known[name] for name in COLUMNS if name in known}


def _finite(value):
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def table_name(index: int, count: int) -> str:
    """The name of the table of a shard: those of all shards can be read as one."""
    if count == 1:
        return "report.parquet"
    return f"report-{index:05d}-of-{count:05d}.parquet"


class Table:
    """All rows in one Parquet file at a path or URL, complete once it is there; a context manager.

    Few rows are in memory at a time. After an error before the first row, an earlier file stays.
    Raises UserError if the file cannot be written, and, with one line, where pyarrow is missing.
    """

    def __init__(self, place: str):
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError:
            raise UserError(f"{place}: Parquet needs more packages; {stores.EXTRA}") from None
        text = pyarrow.string()
        types = {"string": text, "double": pyarrow.float64(), "list": pyarrow.list_(text)}
        types["map"] = pyarrow.map_(text, pyarrow.float64())
        self._arrow, self._parquet = pyarrow, parquet
        self._schema = pyarrow.schema([(name, types[kind]) for name, kind in COLUMNS.items()])
        self.place, self._held, self._count = place, [], 0

    def __enter__(self):
        self._file = tempfile.TemporaryFile()
        self._writer = self._parquet.ParquetWriter(self._file, self._schema)
        return self

    def add(self, row: dict) -> None:
        """Append a row."""
        self._count += 1
        peaks = row["peaks"]
        finite = {name: _finite(value) for name, value in row.items()}
        self._held.append({**finite, "peaks": list(peaks.items()) if peaks else None})
        if len(self._held) >= _AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        if self._held:
            self._writer.write_table(self._arrow.Table.from_pylist(self._held, self._schema))
            self._held.clear()

    def __exit__(self, kind, error, trace):
        with self._file:
            self._flush()
            self._writer.close()
            self._file.seek(0)
            content = self._file.read()
        if error is not None and not self._count:
            return
        with suppress(*[UserError] * (error is not None)):  # it must not hide the first
            self._write(content)

    def _write(self, content: bytes) -> None:
        if stores.is_url(self.place):
            stores.write(self.place, content)
        else:
            files.write(Path(self.place), content)


class NoTable:
    """In place of a `Table` where none can be written."""

    def __enter__(self):
        return self

    def add(self, row: dict) -> None:
        """Forget a row."""

    def __exit__(self, *_):
        pass
