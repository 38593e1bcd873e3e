"""Downloads that resume where they stopped, and archives unpacked completely or not at all."""

import os
import shutil
import zipfile
import zlib
from pathlib import Path

from pipelines.datasets.cache import check_space, only_writer, unusable
from xumx_jax import fetch, files
from xumx_jax.errors import UserError


def fetch_archive(
    url: str, place: Path, what: str, instead: str = "--config.data.root=FOLDER"
) -> Path:
    """Download a .zip and unpack it to the folder `place`, once -> that folder.

    A download that broke off is continued by the next call. Raises UserError, in one line, if it
    fails, and if the archive is damaged or has files outside of its folder. `instead` is the option
    that the message suggests to users without a network.
    """
    if place.is_dir():
        return place
    with only_writer(place.parent):
        if place.is_dir():
            return place
        archive = place.with_name(f"{place.name}.zip{files.PART}")
        try:
            for left in place.parent.glob(f".{place.name}.*{files.PART}"):  # of a killed process
                shutil.rmtree(left, ignore_errors=True)
            _download(url, archive, what, instead)
            _unpack(archive, place, url)
        except OSError as error:
            raise unusable(place.parent, error) from error
        archive.unlink()
    return place


def _download(url: str, archive: Path, what: str, instead: str) -> None:
    def room(count: int) -> None:
        check_space(archive.parent, 2 * count, what)

    offline = f"; without a network give {instead}"
    with fetch.Bar(what, terminal_only=True) as bar:
        fetch.fetch(url, archive, bar, name=f"{what} from {url}", offline=offline, expect=room)


def _unpack(archive: Path, place: Path, url: str) -> None:
    try:
        with zipfile.ZipFile(archive) as opened, files.replacing_folder(place) as part:
            check_space(place.parent, sum(i.file_size for i in opened.infolist()), "unpacking")
            for name in opened.namelist():
                inside = os.path.normpath(name)
                if inside.startswith("..") or os.path.isabs(inside) or "\\" in name:
                    raise UserError(f"{url}: holds {name!r}, outside of its folder; not unpacked")
            opened.extractall(part)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
        archive.unlink(missing_ok=True)
        if isinstance(error, UserError):
            raise
        raise UserError(f"{url}: damaged archive ({error}); start again to fetch it") from error
