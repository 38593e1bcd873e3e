"""Files from elsewhere: fetched once, by way of a partial file, and checked by their digest.

A download that breaks off goes on where it stopped: at once, and, where a digest can tell that both
halves belong together, in the next call too. Where the digest is not known in full, the file's own
SHA-256 is written beside it after the first download (`<file>.sha256`, as `sha256sum` writes it),
and the file has to have it from then on.
"""

import hashlib
import http.client
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from xumx_jax.errors import UserError
from xumx_jax.weights.published import File

TIMEOUT_SECONDS = 10  # to connect, and for every block read
ATTEMPTS, PAUSE_SECONDS = 4, 1.0  # where the connection breaks off, and before each but the first
BLOCK_BYTES = 1 << 20
DIGITS = {"sha1": 40, "sha256": 64}
PIN, PART = "sha256", ".part"
PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE = 206, 416


class CutOff(UserError):
    """The connection broke in the middle; what has come is kept."""


@contextmanager
def only_writer(lock: Path):
    """Hold a lock file: other processes that want it wait here, and then find the work done.

    The system lets go of it when a process dies; the file stays, for removing it would be a race.
    Where there are no locks (Windows, some network drives) nobody waits.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"xumx: {lock.parent}: waiting for another process", file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)
        except (ImportError, OSError):
            pass
        yield


def get(
    file: File,
    place: Path,
    opener: Callable = urlopen,
    progress: Callable[[int, int | None], None] | None = None,
) -> None:
    """Have `file` at `place`: as it lies there if its digest is right, else downloaded.

    `progress` is called with the bytes so far and those in all; None draws a bar on stderr. Only
    one process may be here for a `place` (`only_writer`). Raises UserError where the download fails
    or is not what was wanted; nothing is left then but the part that the next call goes on with.
    """
    wanted = wanted_digests(file, place)
    if place.is_file() and not wrong_digest(place, wanted):
        pin(file, place)
        return
    part = place.with_name(f"{place.name}{PART}")
    if not wanted:
        part.unlink(missing_ok=True)
    goes_on = part.exists()
    try:
        fetch(file.url, part, opener, place.stem, progress)
        wrong = wrong_digest(part, wanted)
        if wrong and goes_on:  # the part was of something else
            part.unlink()
            fetch(file.url, part, opener, place.stem, progress)
            wrong = wrong_digest(part, wanted)
    except BaseException:
        if not wanted:
            part.unlink(missing_ok=True)
        raise
    if wrong:
        part.unlink()
        raise UserError(f"{file.url}: {wrong}")
    part.replace(place)
    pin(file, place)


def wanted_digests(file: File, place: Path) -> list[tuple[str, str, str]]:
    """(algorithm, first digits, who says so): the published digest, and the one kept here."""
    wanted = []
    if file.digest:
        wanted.append((*file.digest.split(":"), "published"))
    kept = pin_of(place)
    if kept.is_file():
        digits = kept.read_text().split(maxsplit=1)
        if not digits or len(digits[0]) != DIGITS[PIN]:
            raise UserError(f"{kept}: holds no SHA-256; remove it to trust the file anew")
        wanted.append((PIN, digits[0], f"kept in {kept}"))
    return wanted


def wrong_digest(path: Path, wanted: list[tuple[str, str, str]]) -> str:
    """What is wrong with a file, "" if nothing is."""
    for algorithm, digits, who in wanted:
        found = digest_of(path, algorithm)
        if not found.startswith(digits):
            name = algorithm.upper().replace("SHA", "SHA-")
            starting = "" if len(digits) == DIGITS[algorithm] else "one that starts with "
            return f"{name} is {found}, wanted {starting}{digits} ({who})"
    return ""


def pin_of(place: Path) -> Path:
    return place.with_name(f"{place.name}.{PIN}")


def pin(file: File, place: Path) -> None:
    """Keep the digest of a file whose whole digest nobody published; say so where none is."""
    algorithm, _, digits = file.digest.partition(":")
    if pin_of(place).is_file() or len(digits) == DIGITS.get(algorithm, -1):
        return
    found = digest_of(place, PIN)
    pin_of(place).write_text(f"{found}  {place.name}\n")
    if not file.digest:
        print(
            f"xumx: nobody has published a digest of {file.name}: its SHA-256, {found}, was "
            f"written to {pin_of(place)} and is checked from now on",
            file=sys.stderr,
        )


def digest_of(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def fetch(url: str, part: Path, opener: Callable, name: str, progress: Callable | None) -> None:
    """Download what `part` lacks, and again what is lacking where the connection breaks off."""
    with bar(name) as drawn:
        for attempt in range(ATTEMPTS):
            try:
                transfer(url, part, opener, progress or drawn)
                return
            except CutOff:
                if attempt == ATTEMPTS - 1:
                    raise
                time.sleep(PAUSE_SECONDS)


def transfer(url: str, part: Path, opener: Callable, progress: Callable) -> None:
    """Append to `part` from where it ends; a server that knows no ranges sends all of it again."""
    done = part.stat().st_size if part.exists() else 0
    request = Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        response = opener(request, timeout=TIMEOUT_SECONDS)
    except HTTPError as error:  # an answer, with a connection of its own
        error.close()
        if error.code == RANGE_NOT_SATISFIABLE and done:  # it is whole already, or of another file
            part.unlink()
            return transfer(url, part, opener, progress)
        raise UserError(f"{url}: download failed, {error}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise UserError(f"{url}: download failed, {reason}") from error
    with response:
        if response.status != PARTIAL_CONTENT:
            done = 0
        length = int(response.headers.get("Content-Length") or 0)
        total = done + length if length else None
        with part.open("r+b" if done else "wb") as file:
            file.seek(done)
            while block := block_of(response, url, done):
                file.write(block)
                done += len(block)
                progress(done, total)
    if total is not None and done != total:
        raise CutOff(f"{url}: download cut off, {done} of {total} bytes; start again to go on")


def block_of(response, url: str, done: int) -> bytes:
    # apart from writing, so that a full disk is not taken for a broken line
    try:
        return response.read(BLOCK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise CutOff(f"{url}: download cut off after {done} bytes, {error}") from error


class bar:
    """A progress bar for `transfer` on stderr, drawn once the first bytes have come."""

    def __init__(self, name: str):
        self.name, self.drawn = name, None

    def __enter__(self):
        return self

    def __call__(self, done: int, total: int | None) -> None:
        from tqdm import tqdm

        if self.drawn is None:
            self.drawn = tqdm(total=total, desc=self.name, unit="B", unit_scale=True)
        self.drawn.update(done - self.drawn.n)

    def __exit__(self, *_):
        if self.drawn is not None:
            self.drawn.close()
