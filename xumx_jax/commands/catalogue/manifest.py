"""Which files are separated, and the folder below OUT for each one's stems.

The names of folders follow from the whole catalogue, never from what has been done, so that all
shards and every rerun find the same ones.
"""

import csv
import io
import os
import posixpath
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from xumx_jax import files, stores
from xumx_jax.commands.batch import input_files
from xumx_jax.commands.batch.input_files import SUFFIXES, WILD, key_of
from xumx_jax.errors import UserError

PATH, NAME = "path", "name"  # columns of a table
TABLES = (".csv", ".parquet")


@dataclass(frozen=True)
class Entry:
    """One file of a catalogue.

    source   its path or URL; "" where there is none
    name     of the folder of its stems, below OUT, with "/" between folders
    label    what it is called in messages and reports
    fault    why it cannot be separated, else ""
    note     what is to be reported of the name, else ""
    """

    source: str
    name: str
    label: str
    fault: str = ""
    note: str = ""


def read(manifest: str | None, inputs: Sequence[str], out: str, recursive: bool) -> list[Entry]:
    """List the files of a manifest and of inputs as on the command line, in their order.

    A manifest is a table, .csv or .parquet, with a column `path` and perhaps one `name`, or a
    folder or a pattern; all of them may be URLs. Paths in a table are relative to its own folder.
    What is wrong with an entry is its fault. Raises UserError for a manifest that cannot be read
    and for a catalogue without files.
    """
    found = []
    given = [*([manifest] if manifest is not None else []), *inputs]
    for place in given:
        if place is manifest and place.lower().endswith(TABLES):
            found += _table(place)
        elif place is manifest and _other_file(place):
            wanted = f"{' or '.join(TABLES)} with a column {PATH!r}, a folder or a pattern"
            raise UserError(f"{place}: wanted {wanted}")
        elif stores.is_url(place):
            found += _stored(place, out, recursive)
        else:
            found += _local(place.removeprefix("file://"), out, recursive)
    if not found:
        raise UserError(f"{', '.join(given)}: lists no files; wanted some to separate")
    return _distinct(found)


def _other_file(place: str) -> bool:
    """Whether a local path is of a file that is neither a table nor music."""
    suffix = Path(place).suffix.lower()
    return not stores.is_url(place) and os.path.isfile(place) and suffix not in SUFFIXES


def shard_of(text: str) -> tuple[int, int]:
    """Parse "I/N" -> (I, N), 0 <= I < N. Raises UserError."""
    index, slash, count = text.partition("/")
    if not (slash and index.isdecimal() and count.isdecimal() and int(count)):
        raise UserError(f"--shard {text}: wanted I/N, such as 0/16")
    if int(index) >= int(count):
        raise UserError(f"--shard {text}: wanted 0/{int(count)} to {int(count) - 1}/{int(count)}")
    return int(index), int(count)


def shard(entries: list[Entry], index: int, count: int) -> list[Entry]:
    """Every `count`th entry from `index` on; what is appended to a manifest moves no other."""
    return entries[index::count]


@dataclass(frozen=True)
class _Found:
    """An entry before it has a name: the one given or found, and where it comes from."""

    source: str
    label: str
    name: str = ""
    given: bool = False  # the name was written in the table
    where: str = ""
    fault: str = ""


def _table(place: str) -> Iterator[_Found]:
    folder = posixpath.dirname(place) if stores.is_url(place) else str(Path(place).parent)
    label = stores.shown(place) if stores.is_url(place) else place
    content = _content(place)
    reader = _parquet if place.lower().endswith(".parquet") else _csv
    for where, row in reader(content, label):
        path = str(row.get(PATH) or "").strip()
        given = str(row.get(NAME) or "").strip()
        at = f"{label}, {where}"
        if None in row:
            fault = f"{at}: more fields than columns; a path with a comma needs quotes"
            yield _Found("", at, where=at, fault=fault)
        elif not path:
            yield _Found("", at, where=at, fault=f"{at}: no path")
        else:
            source = _absolute(path, folder)
            shown = stores.shown(source) if stores.is_url(source) else source
            fault = "" if not given or _possible(given) else f"{at}: {given!r} cannot be a folder"
            name = given or _title(source)
            yield _Found(source, shown, name, bool(given), at, fault)


def _content(place: str) -> bytes:
    if stores.is_url(place):
        content = stores.read(place)
        if content is None:
            raise UserError(f"{stores.shown(place)}: there is no such file; wanted a manifest")
        return content
    try:
        return files.expanded(place).read_bytes()
    except OSError as error:
        raise UserError(f"{place}: cannot be read: {error.strerror}; wanted a manifest") from None


def _csv(content: bytes, label: str) -> Iterator[tuple[str, dict]]:
    try:
        reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))
        _check_columns(reader.fieldnames or (), label)
        for row in reader:
            yield f"line {reader.line_num}", row
    except UnicodeDecodeError:
        raise UserError(f"{label}: is not UTF-8; wanted a CSV file with a column {PATH}") from None
    except csv.Error as error:
        raise UserError(f"{label}: cannot be read: {error}") from None


def _parquet(content: bytes, label: str) -> Iterator[tuple[str, dict]]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise UserError(f"{label}: Parquet needs more packages; {stores.EXTRA}") from None
    try:
        table = parquet.ParquetFile(io.BytesIO(content))
        names = table.schema_arrow.names
        _check_columns(names, label)
        columns = [name for name in (PATH, NAME) if name in names]
        count = 0
        for batch in table.iter_batches(columns=columns):
            for row in batch.to_pylist():
                count += 1
                yield f"row {count}", row
    except (ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{label}: cannot be read: {reason}; wanted a Parquet file") from None


def _check_columns(names: Sequence[str], label: str) -> None:
    if PATH not in names:
        there = ", ".join(map(repr, names)) or "none"
        raise UserError(f"{label}: its columns are {there}; wanted one called {PATH!r}")


def _absolute(path: str, folder: str) -> str:
    path = path.removeprefix("file://")
    if stores.is_url(path):
        return path
    if stores.is_url(folder):
        return path if path.startswith("/") else stores.join(folder, path)
    return str(Path(folder, files.expanded(path)))


def _possible(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return all(map(files.is_name, parts)) and not any(map(files.hidden, parts)) and bool(parts)


def _title(source: str) -> str:
    name = stores.name_of(source) if stores.is_url(source) else source
    return input_files.title_of(Path(name)) if name else "unnamed"


def _stored(place: str, out: str, recursive: bool) -> Iterator[_Found]:
    """A file in a store, or those in a folder, or that match a pattern."""
    # what follows a ? of a web address is a signature
    marks = WILD - {"?"} if place.startswith("http") else WILD
    places = [at for mark in marks if (at := place.find(mark)) >= 0]
    if places and stores.exists(place):  # a song of that name
        places = []
    if not places and PurePosixPath(stores.name_of(place)).suffix.lower() in SUFFIXES:
        yield _Found(place, stores.shown(place), _title(place))
        return
    fixed = place[: min(places)].rpartition("/")[0] if places else place.rstrip("/")
    own, some = f"{out.rstrip('/')}/", False
    for url in stores.search(place, recursive, pattern=bool(places)):
        inner = PurePosixPath(url.removeprefix(f"{fixed}/"))
        known = places or inner.suffix.lower() in SUFFIXES
        if known and not any(map(files.hidden, inner.parts)) and not url.startswith(own):
            some = True
            yield _Found(url, stores.shown(url), str(inner.parent / _title(url)))
    if not some:
        label = stores.shown(place)
        yield _Found("", label, fault=f"{label}: no audio files here")


def _local(place: str, out: str, recursive: bool) -> Iterator[_Found]:
    """What the command line takes, with the folders that it would get there."""
    root = Path(out if not stores.is_url(out) else "/")
    if place == "-" or input_files.is_pipe(place):
        raise UserError(f"{place}: a catalogue is read more than once; wanted files")
    with input_files.Spool() as spool:
        found = input_files.find([place], root, recursive, spool)
    for label, error in found.errors:
        yield _Found("", label or place, fault=str(error))
    for track in found.tracks:
        name = track.folder.relative_to(root).as_posix()
        yield _Found(str(track.path), track.label, name)


def _distinct(found: list[_Found]) -> list[Entry]:
    """Give each a folder of its own: the first keeps a name, another gets a longer one."""
    owners: dict[str, _Found] = {}
    sources: dict[str, _Found] = {}
    numbers: Counter = Counter()
    entries = []
    for one in found:
        where = one.where or one.label
        if not one.fault and (other := sources.setdefault(_same(one.source), one)) is not one:
            first = other.where or other.label
            one = replace(one, fault=f"{where}: {one.label} is there already, {first}")
        key = key_of(one.name)
        if not one.fault and one.given and key in owners:
            first = owners[key].where or owners[key].label
            one = replace(one, fault=f"{where}: its name {one.name!r} is that of {first}")
        if one.fault:
            entries.append(Entry(one.source, "", one.label, one.fault))
            continue
        name, note = _free(one, owners, numbers), ""
        if name != one.name:
            note = f"{owners[key].label} has the same name, so these stems go to {name}"
        owners[key_of(name)] = one
        entries.append(Entry(one.source, name, one.label, note=note))
    return entries


def _same(source: str) -> str:
    return source if stores.is_url(source) else os.path.abspath(source)


def _free(one: _Found, owners, numbers) -> str:
    name = PurePosixPath(one.name)
    if key_of(name) not in owners:
        return str(name)
    parent = PurePosixPath(one.source).parent.name
    longer = name.with_name(files.shortened(f"{parent}_{name.name}")) if parent else name
    tried = longer
    while key_of(tried) in owners:
        numbers[longer] += 1
        tried = longer.with_name(f"{longer.name}_{numbers[longer] + 1}")
    return str(tried)
