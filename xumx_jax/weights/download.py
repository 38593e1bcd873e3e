"""Download files once, through a partial file, and check their digests.

A download that breaks off resumes where it stopped: at once and, if a digest can show that both
halves belong together, in the next call as well. If the digest is not known in full, the file's own
SHA-256 is written beside it after the first download (`<file>.sha256`, as `sha256sum` writes it),
and the file has to match it from then on. If that file is empty or damaged, it is written again.
"""

import logging
import re
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

from xumx_jax import fetch as resumable
from xumx_jax import files
from xumx_jax.errors import UserError
from xumx_jax.weights.published import File

LOG = logging.getLogger(__name__)
ATTEMPTS, PAUSE_SECONDS = 4, 1.0  # where the connection breaks off, and before each but the first
DIGITS = {"sha1": 40, "sha256": 64, files.TAIL_DIGEST: 32}
PIN = "sha256"


def only_writer(lock: Path):
    """Hold a lock file: other processes wait here, and then find the work done."""
    return files.locked(lock, lambda: LOG.warning("%s: waiting for another process", lock.parent))


def get(
    file: File,
    place: Path,
    opener: Callable = urlopen,
    progress: Callable[[int, int | None], None] | None = None,
) -> None:
    """Make sure that `file` is at `place` with the right digest, downloading it if necessary.

    `progress` is called with the bytes so far and in total; with None, programs draw a bar on
    stderr. Only one process may do this for a `place` at a time (`only_writer`). Raises UserError
    if the download fails or is the wrong file; only the part that the next call resumes from is
    then left.
    """
    wanted = wanted_digests(file, place)
    if place.is_file() and not wrong_digest(place, wanted):
        pin(file, place)
        return
    part = place.with_name(f"{place.name}{files.PART}")
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
    files.rename(part, place)
    pin(file, place)


def wanted_digests(file: File, place: Path) -> list[tuple[str, str, str]]:
    """List (algorithm, first digits, source): the published digest, and the one stored here."""
    wanted = []
    if file.digest:
        wanted.append((*file.digest.split(":"), "published"))
    if digits := pinned(place):
        wanted.append((PIN, digits, f"kept in {pin_of(place)}"))
    return wanted


def wrong_digest(path: Path, wanted: list[tuple[str, str, str]]) -> str:
    """What is wrong with a file, or "" if nothing is."""
    for algorithm, digits, who in wanted:
        found = files.digest(path, algorithm)
        if not found.startswith(digits):
            name = algorithm.upper().replace("SHA", "SHA-")
            starting = "" if len(digits) == DIGITS[algorithm] else "one that starts with "
            return f"{name} is {found}, wanted {starting}{digits} ({who})"
    return ""


def pin_of(place: Path) -> Path:
    return place.with_name(f"{place.name}.{PIN}")


def pinned(place: Path) -> str:
    """The SHA-256 stored beside a file, or "" if there is none or what is there is damaged."""
    try:
        words = pin_of(place).read_bytes().decode(errors="replace").split(maxsplit=1)
    except FileNotFoundError:
        return ""
    found = words[0].lower() if words else ""
    return found if re.fullmatch(f"[0-9a-f]{{{DIGITS[PIN]}}}", found) else ""


def pin(file: File, place: Path) -> None:
    """Store the digest of a file whose full digest is not published; log it if none is at all."""
    algorithm, _, digits = file.digest.partition(":")
    whole = algorithm != files.TAIL_DIGEST and len(digits) == DIGITS.get(algorithm, -1)
    if whole or pinned(place):
        return
    if pin_of(place).exists():
        LOG.warning("%s: held no SHA-256, and is written again", pin_of(place))
    found = files.digest(place, PIN)
    files.write(pin_of(place), f"{found}  {place.name}\n")
    if not file.digest:
        LOG.warning(
            "no digest has been published for %s: its SHA-256, %s, was written to %s and is "
            "checked from now on",
            *(file.name, found, pin_of(place)),
        )


def fetch(url: str, part: Path, opener: Callable, name: str, progress: Callable | None) -> None:
    """Download what `part` lacks, and resume if the connection breaks off."""
    with resumable.Bar(name) as drawn:
        resumable.fetch(
            url, part, progress or drawn, opener=opener, attempts=ATTEMPTS,
            pause_seconds=PAUSE_SECONDS,
        )  # fmt: skip
