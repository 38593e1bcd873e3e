"""MUSDB18's STEMS as 16-bit WAV, decoded once into the cache."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pipelines.datasets.cache import check_space, only_writer, unusable
from pipelines.tracks.folders import track_of
from pipelines.tracks.musdb_stems import SUFFIX, decoded_bytes, write_stems
from pipelines.tracks.split import Split
from pipelines.tracks.track import Track
from xumx_jax import files
from xumx_jax.errors import UserError

# Of decoded audio per process: about a second of work, twice what a process takes to start.
SHARE_BYTES = 80_000_000


def unpack(splits: Sequence[Split | None]) -> list[Split | None]:
    """Decode the STEMS in these splits -> the same splits, with folders of 16-bit WAV instead.

    Tracks that cannot be decoded get a `fault`. Raises UserError as `decode_all` does.
    """
    wanted = {
        split.cache: [] for split in splits if split and any(track.packed for track in split.tracks)
    }
    for split in splits:
        if split and split.cache in wanted:
            wanted[split.cache] += [track.path for track in split.tracks if track.packed]
    places, faults = {}, {}
    for cache, paths in wanted.items():
        decoded, failed = decode_all(sorted(set(paths)), cache)
        places |= decoded
        faults |= failed

    def unpacked(track: Track) -> Track:
        if track.path in faults:
            return replace(track, fault=str(faults[track.path]))
        return track_of(places[track.path], track.name) if track.packed else track

    return [
        split and replace(split, tracks=tuple(unpacked(track) for track in split.tracks))
        for split in splits
    ]


def decode_all(paths: list[Path], cache: Path) -> tuple[dict[Path, Path], dict[Path, UserError]]:
    """Decode .stem.mp4 files that are not in the cache yet -> (folders of WAV files, failures).

    What is in the cache is complete; a file that changed is decoded again. Raises UserError if the
    disk does not have enough space or the cache cannot be written.
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
    return cache / files.digest_of([repr(what)])[:16] / path.name.removesuffix(SUFFIX)


def _decode_missing(places: dict[Path, Path], cache: Path) -> dict[Path, UserError]:
    from tqdm import tqdm

    files.remove_leftovers(cache)
    wanted, failed, size = [], {}, 0
    for path, place in places.items():
        if not place.is_dir():
            try:
                size += decoded_bytes(path)
                wanted.append(path)
            except UserError as error:
                failed[path] = error
    check_space(cache, size, f"decoding {len(wanted)} tracks")
    count = min(os.cpu_count() or 1, len(wanted), 1 + size // SHARE_BYTES)
    done = _decode_each({path: places[path] for path in wanted}, count)
    for path, error in tqdm(done, "decoding", len(wanted), unit="track", disable=None):
        if isinstance(error, UserError):
            failed[path] = error
        elif error:
            raise unusable(cache, error) from error
    return failed


def _decode_each(places: dict[Path, Path], processes: int) -> Iterator:
    """Decode all files, in any order; yield (path, error or None) after each."""
    if processes < 2:
        yield from ((path, _decode(path, place)) for path, place in places.items())
        return
    # Two threads take longer than one, since they compete for the interpreter's lock. A fork would
    # be unsafe once JAX runs.
    spawn = multiprocessing.get_context("spawn")
    with _cancelled_at_exit(ProcessPoolExecutor(processes, spawn, _follow_parent)) as pool:
        tasks = {pool.submit(_decode, *pair): pair[0] for pair in places.items()}
        for task in as_completed(tasks):
            try:
                yield tasks[task], task.result()
            except BrokenProcessPool as error:
                raise UserError(
                    "a process that was decoding STEMS was killed; start again"
                ) from error


@contextmanager
def _cancelled_at_exit(pool):
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _follow_parent() -> None:
    """Ignore interrupts, which the parent handles, and end with it even if it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def wait():
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _decode(path: Path, place: Path) -> UserError | OSError | None:
    """Decode one file, completely or not at all -> what went wrong, or None."""
    try:
        with files.replacing_folder(place.parent) as part:
            (part / place.name).mkdir()
            write_stems(path, part / place.name)
    except (UserError, OSError) as error:
        return error
    return None
