"""Files from elsewhere: fetched once, by way of a partial file, and checked by their digest.

Where the digest is not known in full, the file's own SHA-256 is written beside it after the first
download (`<file>.sha256`, as `sha256sum` writes it), and the file has to have it from then on.
"""

import hashlib
import http.client
import os
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from xumx_jax.errors import UserError
from xumx_jax.published import File

TIMEOUT_SECONDS = 10  # to connect, and for every block read
BLOCK_BYTES = 1 << 20
DIGITS = {"sha1": 40, "sha256": 64}
PIN = "sha256"


def get(
    file: File,
    place: Path,
    opener: Callable = urlopen,
    progress: Callable[[int, int | None], None] | None = None,
) -> None:
    """Have `file` at `place`: as it lies there if its digest is right, else downloaded.

    `progress` is called with the bytes so far and those in all; None draws a bar on stderr.
    Raises UserError where the download fails or is not what was wanted; nothing is left then.
    """
    wanted = wanted_digests(file, place)
    if place.is_file() and not wrong_digest(place, wanted):
        pin(file, place)
        return
    partial = place.with_name(f"{place.name}.{os.getpid()}.part")
    try:
        if progress is None:
            with bar(place.stem) as drawn:
                download(file.url, partial, opener, drawn)
        else:
            download(file.url, partial, opener, progress)
        if wrong := wrong_digest(partial, wanted):
            raise UserError(f"{file.url}: {wrong}")
        partial.replace(place)
    finally:
        partial.unlink(missing_ok=True)
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


def download(url: str, place: Path, opener: Callable, progress: Callable) -> None:
    done = 0
    with place.open("wb") as file:
        try:
            with opener(url, timeout=TIMEOUT_SECONDS) as response:
                total = int(response.headers.get("Content-Length") or 0) or None
                while block := response.read(BLOCK_BYTES):
                    file.write(block)
                    done += len(block)
                    progress(done, total)
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            if isinstance(error, HTTPError):  # an answer, with a connection of its own
                error.close()
            raise UserError(f"{url}: download failed, {reason}") from error
    if total is not None and done != total:
        raise UserError(f"{url}: download cut off, {done} of {total} bytes")


class bar:
    """A progress bar for `download` on stderr, drawn once the first bytes have come."""

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
