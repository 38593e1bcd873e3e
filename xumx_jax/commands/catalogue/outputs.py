"""The places of stems, on a disk or in a store: what is there, and how new ones get there.

Stems are made elsewhere and then published: the stems, the report of the file, and last the record
that says that they are complete (`separation.record`). Before all that, a small file, INTENT, says
which stems are going to be there, and how often that was tried. Who is killed leaves it behind: the
next one may replace what is there, and gives up at last if the file itself is what kills.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from xumx_jax import files, stores
from xumx_jax.errors import UserError
from xumx_jax.separation import record

REPORT, INTENT = "separation-report.json", ".separating"
_STAGED = "stems"  # how folders begin in which stems are made
_ELSEWHERE = "TMPDIR=FOLDER chooses another place"
_GOOD = (record.FREE, record.FINISHED)


def at(out: str, name: str) -> "Folder | Prefix":
    """The place for the stems of an entry called `name`, below a folder or URL."""
    return Prefix(stores.join(out, name)) if stores.is_url(out) else Folder(Path(out, name))


def check(out: str) -> None:
    """Raise UserError if nothing can be written below OUT, before hours of work."""
    if not stores.is_url(out):
        files.check_place(Path(out))
        return
    probe = stores.join(out, f"{INTENT}-probe")
    stores.write(probe, b"")
    stores.remove(probe)


def intent_of(wanted: record.Record) -> str:
    """What tells the stems of a record from all others: a digest."""
    known = [wanted.input, [dict(one) for one in wanted.models], dict(wanted.options)]
    return files.digest_of_value([*known, {name: dict(one) for name, one in wanted.stems.items()}])


def _parsed(intent: str | bytes | None) -> tuple[str, int]:
    """What INTENT says: the digest of `intent_of`, and how often that was tried."""
    text = intent.decode(errors="replace") if isinstance(intent, bytes) else intent or ""
    digest, _, count = text.partition(" ")
    return digest, int(count) if count.strip().isdecimal() else 0


class Folder:
    """A folder on a disk that all workers see."""

    def __init__(self, path: Path):
        self.path, self.shown, self._begun = path, str(path), ""

    def look(self, wanted: record.Record) -> str:
        """FREE, FINISHED, or what would be lost: see `record.look`."""
        found = record.look(self.path, wanted.stems, lambda: wanted)
        ours = found not in _GOOD and self._intent()[0] == intent_of(wanted)
        return record.FREE if ours else found

    def _intent(self) -> tuple[str, int]:
        with suppress(OSError):
            return _parsed((self.path / INTENT).read_bytes())
        return "", 0

    def begin(self, wanted: record.Record) -> int:
        """Say which stems are going to be here -> how often that was tried, and not given up."""
        self._begun = intent_of(wanted)
        with files.locked(self.path):
            # files of killed workers: those that live hold the lock as they write
            for left in filter(Path.is_file, self.path.glob(f".*{files.PART}")):
                files.remove_quietly(left)
            digest, tried = self._intent()
            tried = tried if digest == self._begun else 0
            files.write(self.path / INTENT, f"{self._begun} {tried + 1}\n")
        return tried

    def give_up(self, publishing: bool) -> None:
        """Take that back; what was being published may still be replaced."""
        if publishing:
            with files.locked(self.path):
                files.write(self.path / INTENT, f"{self._begun} 0\n")
        else:
            files.remove_quietly(self.path / INTENT)

    @contextmanager
    def staged(self) -> Iterator[Path]:
        """Yield an empty folder on the same disk, for this process alone, that is removed after."""
        made = [part for part in (self.path, *self.path.parents) if not part.exists()]
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with _staging(self.path) as staging:
                yield staging
        except OSError as error:
            raise UserError(f"{self.shown}: cannot be written: {error.strerror}") from None
        finally:
            for folder in made:  # those with something in them stay
                with suppress(OSError):
                    folder.rmdir()

    def placed(self, text: str, staging: Path) -> str:
        """What an error says, with this place for that where stems are made."""
        return text.replace(str(staging), self.shown)

    def publish(self, staging: Path, wanted: record.Record, report: bytes) -> None:
        """Move stems from where they were made to their place, then write report and record."""
        places = [self.path / name for name in wanted.stems]
        try:
            with files.locked(self.path):
                with record.renaming(places, wanted):
                    for place in places:
                        files.rename(staging / place.name, place, durable=False)
                    self.write_report(report)
                files.remove_quietly(self.path / INTENT)
        except OSError as error:
            raise UserError(f"{self.shown}: cannot be written: {error.strerror}") from None

    def sweep(self) -> None:
        """Remove what others left that were killed beside complete stems."""
        with suppress(OSError):
            if (self.path / INTENT).exists() or any(_staged_in(self.path)):
                with files.locked(self.path):
                    _remove_dead(self.path)
                    if not any(_staged_in(self.path)):
                        files.remove_quietly(self.path / INTENT)

    def read_report(self) -> bytes | None:
        """The report of a file that is there, or None."""
        with suppress(OSError):
            return (self.path / REPORT).read_bytes()
        return None

    def write_report(self, report: bytes) -> None:
        """Write or replace the report. Raises UserError."""
        files.write(self.path / REPORT, report)

    def outputs(self, names: Sequence[str]) -> list[str]:
        """Where files of these names are."""
        return [str(self.path / name) for name in names]


class Prefix:
    """A "folder" in a store, where nothing can be renamed, and nothing is half there."""

    def __init__(self, url: str):
        self.url, self.shown, self._begun = url, stores.shown(url), ""
        self._intent: tuple[str, int] | None = None  # None: it was not looked for

    def look(self, wanted: record.Record) -> str:
        """FREE, FINISHED, or what would be lost: see `record.look`."""
        there = stores.entries(self.url)
        stems = {name: there[name] for name in wanted.stems if name in there}
        found = self._known(wanted, there, stems)
        place = stores.join(self.url, INTENT)
        self._intent = _parsed(stores.read(place) if INTENT in there else None)
        ours = found not in _GOOD and self._intent[0] == intent_of(wanted)
        return record.FREE if ours else found

    def begin(self, wanted: record.Record) -> int:
        """Say which stems are going to be here -> how often that was tried, and not given up."""
        place, self._begun = stores.join(self.url, INTENT), intent_of(wanted)
        digest, tried = _parsed(stores.read(place)) if self._intent is None else self._intent
        tried = tried if digest == self._begun else 0
        stores.write(place, f"{self._begun} {tried + 1}\n".encode())
        return tried

    def give_up(self, publishing: bool) -> None:
        """Take that back; what was being published may still be replaced."""
        if publishing:
            stores.write(stores.join(self.url, INTENT), f"{self._begun} 0\n".encode())
        else:
            stores.remove(stores.join(self.url, INTENT))

    def _known(self, wanted, there: Mapping[str, Any], stems: Mapping[str, Any]) -> str:
        before = self._record() if record.FILE in there else None
        if before is None:
            return record.UNKNOWN if stems else record.FREE
        if before.input != wanted.input:
            return record.OTHER_MUSIC
        if not before.same_settings(wanted):
            return record.OTHER_SETTINGS
        for name, info in stems.items():
            known = before.stems.get(name)
            if known is None or known["bytes"] != info["size"]:
                return record.CHANGED
            if known.get("etag") and known["etag"] != stores.tag_of(info):
                return record.CHANGED
            if record.made_as(known) != wanted.stems[name]:
                return record.OTHER_SETTINGS
        return record.FINISHED if set(stems) == set(wanted.stems) else record.FREE

    def _record(self) -> record.Record | None:
        return record.parse(stores.read(stores.join(self.url, record.FILE)) or b"")

    @contextmanager
    def staged(self) -> Iterator[Path]:
        """Yield an empty folder for temporary files (TMPDIR), that is removed after."""
        place = _temporary()
        try:
            place.mkdir(mode=0o700, exist_ok=True)
            with _staging(place) as staging:
                yield staging
        except OSError as error:
            raise UserError(f"{place}: cannot be written: {error.strerror}; {_ELSEWHERE}") from None

    def placed(self, text: str, staging: Path) -> str:
        """What an error says; of a temporary file, how to have it elsewhere."""
        elsewhere = f"; {_ELSEWHERE}" if str(staging) in text else ""
        return text.replace(str(staging), str(_temporary())) + elsewhere

    def publish(self, staging: Path, wanted: record.Record, report: bytes) -> None:
        """Upload stems, then the report, then the record."""
        before = self._record()
        stores.remove(stores.join(self.url, record.FILE))
        for name in wanted.stems:
            stores.upload(staging / name, stores.join(self.url, name))
        self.write_report(report)
        there, stems = stores.entries(self.url), {}
        for name, made in wanted.stems.items():
            known = record.known_by(staging / name)
            known.pop("changed")  # the time of a file that is about to go
            tag = stores.tag_of(there.get(name, {}))
            etag = {"etag": tag} if tag.startswith("etag:") else {}
            stems[name] = {**made, **known, **etag}
        if before is not None:
            if before.input == wanted.input and before.same_settings(wanted):
                stems = {**before.stems, **stems}
            for name in before.stems.keys() - stems.keys():
                stores.remove(stores.join(self.url, name))
        whole = record.text_of(replace(wanted, stems=stems)).encode()
        stores.write(stores.join(self.url, record.FILE), whole)
        stores.remove(stores.join(self.url, INTENT))

    def sweep(self) -> None:
        """Nothing: in a store, nobody knows who was killed, and what is left is a line of text."""

    def read_report(self) -> bytes | None:
        """The report of a file that is there, or None."""
        return stores.read(stores.join(self.url, REPORT))

    def write_report(self, report: bytes) -> None:
        """Write or replace the report. Raises UserError."""
        stores.write(stores.join(self.url, REPORT), report)

    def outputs(self, names: Sequence[str]) -> list[str]:
        """Where files of these names are."""
        return [stores.join(self.shown, name) for name in names]


def _temporary() -> Path:
    """The folder of this user for what goes to stores."""
    user = str(os.getuid()) if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    return Path(tempfile.gettempdir(), f"xumx-{user}")


def _staged_in(place: Path) -> Iterator[Path]:
    return place.glob(f".{_STAGED}.*{files.PART}")


def _remove_dead(place: Path) -> None:
    """Remove the folders of processes that are no more; `place` is locked."""
    for left in _staged_in(place):
        with suppress(OSError), files.locked(left, waiting=None):  # else it is in use
            files.remove_quietly(left)


@contextmanager
def _staging(place: Path) -> Iterator[Path]:
    """A folder in `place` that is locked while its process lives; those of dead ones are removed.

    Where there are no locks, another live worker's may be removed too: its file then fails, and is
    made by this one.
    """
    staging = files.partial_name(place / _STAGED)
    with ExitStack() as stack:
        with files.locked(place):
            _remove_dead(place)
            staging.mkdir()
            stack.callback(files.remove_quietly, staging)
            stack.enter_context(files.locked(staging))
        inner = staging / _STAGED  # whoever writes stems locks their folder, too
        inner.mkdir()
        yield inner
