"""MUSDB18's STEMS as 16-bit WAV, decoded once into the cache."""

import hashlib
import os
import shutil
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from pipelines.datasets.cache import PART, check_space, only_writer, unusable
from pipelines.musdb_stems import SUFFIX, decoded_bytes, write_stems
from xumx_jax.errors import UserError

# Most of the decoding runs outside the interpreter's lock, about two thirds of the time.
MOST_THREADS = 4


def decode_all(paths: list[Path], cache: Path) -> tuple[dict[Path, Path], dict[Path, UserError]]:
    """Decode .stem.mp4 files that are not in the cache yet -> (folders of WAV files, failures).

    What stands in the cache is complete; a file that changed is decoded anew. Raises UserError if
    the disk has not enough space or the cache cannot be written.
    """
    places = {path: _place(path, cache) for path in paths}
    failed = {}
    if not all(place.is_dir() for place in places.values()):
        with only_writer(cache):
            failed = _decode_missing(places, cache)
    return {path: place for path, place in places.items() if path not in failed}, failed


def _place(path: Path, cache: Path) -> Path:
    status = path.stat()
    what = (str(path.resolve()), status.st_size, status.st_mtime_ns)
    digest = hashlib.sha256(repr(what).encode()).hexdigest()[:16]
    return cache / digest / path.name.removesuffix(SUFFIX)


def _decode_missing(places: dict[Path, Path], cache: Path) -> dict[Path, UserError]:
    from tqdm import tqdm

    for left in cache.glob(f"*{PART}"):  # of a run that was killed
        shutil.rmtree(left)
    wanted, failed, size = [], {}, 0
    for path, place in places.items():
        if not place.is_dir():
            try:
                size += decoded_bytes(path)
                wanted.append(path)
            except UserError as error:
                failed[path] = error
    check_space(cache, size, f"decoding {len(wanted)} tracks")
    pool = ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1))
    try:
        tasks = {pool.submit(_decode, path, places[path]): path for path in wanted}
        done = as_completed(tasks)
        for task in tqdm(done, "decoding", len(tasks), unit="track", disable=None):
            try:
                task.result()
            except UserError as error:
                failed[tasks[task]] = error
    except OSError as error:
        raise unusable(cache, error) from error
    finally:
        pool.shutdown(cancel_futures=True)
    return failed


def _decode(path: Path, place: Path) -> None:
    part = place.parent.with_name(place.parent.name + PART)
    try:
        (part / place.name).mkdir(parents=True)
        write_stems(path, part / place.name)
        part.rename(place.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)
