"""Downloads that go on where they stopped, and archives unpacked whole or not at all."""

import http.client
import os
import shutil
import zipfile
import zlib
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from pipelines.datasets.cache import PART, check_space, only_writer, unusable
from xumx_jax.errors import UserError

TIMEOUT_SECONDS = 10  # to connect, and for every block read
BLOCK_BYTES = 1 << 18
PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE = 206, 416


def fetch_archive(
    url: str, place: Path, what: str, instead: str = "--config.data.root=FOLDER"
) -> Path:
    """Download a .zip and unpack it to the folder `place`, once -> that folder.

    A download that broke off is continued by the next call. Raises UserError, in one line, if it
    fails, and if the archive is damaged or reaches outside of its folder. `instead` is the option
    that the line names for who has no network.
    """
    if place.is_dir():
        return place
    with only_writer(place.parent):
        if place.is_dir():
            return place
        archive = place.with_name(place.name + ".zip" + PART)
        try:
            _download(url, archive, what, instead)
            _unpack(archive, place, url)
        except OSError as error:
            raise unusable(place.parent, error) from error
        archive.unlink()
    return place


def _download(url: str, archive: Path, what: str, instead: str) -> None:
    from tqdm import tqdm

    done = archive.stat().st_size if archive.exists() else 0
    request = Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    hint = f"{what} from {url}"
    try:
        response = urlopen(request, timeout=TIMEOUT_SECONDS)
    except HTTPError as error:  # an answer, with a connection of its own
        error.close()
        if error.code == RANGE_NOT_SATISFIABLE and done:  # nothing is left of it, or another file
            archive.unlink()
            return _download(url, archive, what, instead)
        raise UserError(f"{hint}: download failed, {error}") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise UserError(
            f"{hint}: download failed, {reason}; without a network give {instead}"
        ) from error
    with response:
        if response.status != PARTIAL_CONTENT:  # the server starts from the beginning
            done = 0
        length = int(response.headers.get("Content-Length") or 0) or None
        total = length and done + length
        check_space(archive.parent, 2 * (length or 0), what)
        drawn = {"desc": what, "unit": "B", "unit_scale": True, "disable": None}
        with (
            archive.open("r+b" if done else "wb") as file,
            tqdm(total=total, initial=done, **drawn) as bar,
        ):
            file.seek(done)
            while block := _block(response, hint):
                file.write(block)
                done += len(block)
                bar.update(len(block))
    if total is not None and done != total:
        raise UserError(f"{hint}: download cut off, {done} of {total} bytes; start again to go on")


def _block(response, hint: str) -> bytes:
    # Apart from writing, so that a full disk is not taken for a broken line.
    try:
        return response.read(BLOCK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise UserError(f"{hint}: download cut off, {error}; start again to go on") from error


def _unpack(archive: Path, place: Path, url: str) -> None:
    part = place.with_name(place.name + PART)
    shutil.rmtree(part, ignore_errors=True)
    try:
        with zipfile.ZipFile(archive) as opened:
            check_space(place.parent, sum(i.file_size for i in opened.infolist()), "unpacking")
            for name in opened.namelist():
                inside = os.path.normpath(name)
                if inside.startswith("..") or os.path.isabs(inside) or "\\" in name:
                    raise UserError(f"{url}: holds {name!r}, outside of its folder; not unpacked")
            opened.extractall(part)
        part.rename(place)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
        archive.unlink(missing_ok=True)
        if isinstance(error, UserError):
            raise
        raise UserError(f"{url}: damaged archive ({error}); start again to fetch it") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
