"""MUSDB18's STEMS and other compressed files as 16-bit WAV, decoded once into the cache."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

from pipelines.datasets.cache import cache_folder, check_space, only_writer, unusable
from pipelines.processes import follow_parent, pool
from pipelines.tracks import coded
from pipelines.tracks.folders import is_coded, track_of
from pipelines.tracks.musdb_stems import decoded_bytes, write_stems
from pipelines.tracks.split import Split
from pipelines.tracks.track import Clip, Track, is_packed, title_of
from xumx_jax import files
from xumx_jax.errors import UserError, collected, warn

# Of decoded audio per process: about a second of work, twice what a process takes to start.
SHARE_BYTES = 80_000_000
FOLDER = "decoded"  # of the cache, where a data set names no other


def unpack(splits: Sequence[Split | None]) -> list[Split | None]:
    """Decode what these splits need -> the same splits, with 16-bit WAV instead.

    STEMS become folders of WAV files, and other files that are not WAV or FLAC one each. Tracks
    that cannot be decoded get a `fault`. Raises UserError as `decode_all` does.
    """
    wanted: dict[Path, set[Path]] = {}
    for split in splits:
        for track in split.tracks if split else ():
            wanted.setdefault(_cache(split), set()).update(_coded_in(split, track))
    places: dict[Path, Path] = {}
    faults: dict[Path, UserError] = {}
    for cache, paths in wanted.items():
        decoded, failed = decode_all(sorted(paths), cache)
        places |= decoded
        faults |= failed

    def unpacked(split: Split, track: Track) -> Track:
        coded = _coded_in(split, track)
        for path in coded:
            if path in faults:
                return replace(track, fault=str(faults[path]))
        if track.packed:
            return track_of(places[track.path], track.name) if coded else track
        if not coded:
            return track
        stems = {name: _decoded(clip, places) for name, clip in track.stems.items()}
        mixture = track.mixture and _decoded(track.mixture, places)
        return replace(track, stems=stems, mixture=mixture)

    return [
        split and replace(split, tracks=tuple(unpacked(split, track) for track in split.tracks))
        for split in splits
    ]


def _cache(split: Split) -> Path:
    return split.cache or cache_folder() / FOLDER


def _coded_in(split: Split, track: Track) -> list[Path]:
    """The files of a track that have to be decoded."""
    if track.fault:
        return []
    if track.packed:
        return [track.path]
    names = {*track.sources, *split.known}
    clips = [clip for name, clip in track.stems.items() if name in names]
    parts = [part for clip in (*clips, track.mixture or ()) for part in clip]
    return [part.file for part in parts if isinstance(part.file, Path) and is_coded(part.file)]


def _decoded(clip: Clip, places: dict[Path, Path]) -> Clip:
    return tuple(
        replace(part, file=wav_of(part.file, places[part.file])) if part.file in places else part
        for part in clip
    )


def wav_of(path: Path, place: Path) -> Path:
    """The decoded form of one file, in the folder that `decode_all` returned for it."""
    return place / f"{path.stem}.wav"


def decode_all(paths: list[Path], cache: Path) -> tuple[dict[Path, Path], dict[Path, UserError]]:
    """Decode files that are not in the cache yet -> (folders of WAV files, failures).

    What is in the cache is complete; a file that changed is decoded again. Raises UserError if the
    disk does not have enough space or the cache cannot be written.
    """
    places, failed = {}, {}
    for path in paths:
        try:
            places[path] = _place(path, cache)
        except OSError as error:
            failed[path] = UserError(f"{path}: cannot be read ({error.strerror or error})")
    if not all(place.is_dir() for place in places.values()):
        with only_writer(cache):
            failed |= _decode_missing(places, cache)
    return {path: place for path, place in places.items() if path not in failed}, failed


def _place(path: Path, cache: Path) -> Path:
    status = path.stat()
    what = (str(path.resolve()), status.st_size, status.st_mtime_ns)
    name = title_of(path) if is_packed(path) else path.parent.name
    return cache / files.digest_of([repr(what)])[:16] / files.safe_name(name, "track")


def _decode_missing(places: dict[Path, Path], cache: Path) -> dict[Path, UserError]:
    from tqdm import tqdm

    files.remove_leftovers(cache)
    wanted, failed, size = [], {}, 0
    for path, place in places.items():
        if not place.is_dir():
            try:
                measured = decoded_bytes if is_packed(path) else coded.decoded_bytes
                size += measured(path)
                wanted.append(path)
            except UserError as error:
                failed[path] = error
    check_space(cache, size, f"decoding {len(wanted)} files")
    count = min(os.cpu_count() or 1, len(wanted), 1 + size // SHARE_BYTES)
    done = _decode_each({path: places[path] for path in wanted}, count)
    for path, (error, odd) in tqdm(done, "decoding", len(wanted), unit="file", disable=None):
        for message in odd:
            warn(message)
        if isinstance(error, UserError):
            failed[path] = error
        elif error:
            raise unusable(cache, error) from error
    return failed


def _decode_each(places: dict[Path, Path], processes: int) -> Iterator:
    """Decode all files, in any order; yield (path, what `_decode` returns) after each."""
    if processes < 2:
        yield from ((path, _decode(path, place)) for path, place in places.items())
        return
    # Two threads take longer than one, since they compete for the interpreter's lock.
    with pool(processes, follow_parent) as workers:
        tasks = {workers.submit(_decode, *pair): pair[0] for pair in places.items()}
        for task in as_completed(tasks):
            try:
                yield tasks[task], task.result()
            except BrokenProcessPool as error:
                raise UserError(
                    "a process that was decoding files was killed; start again"
                ) from error


def _decode(path: Path, place: Path) -> tuple[UserError | OSError | None, list[str]]:
    """Decode one file, completely or not at all -> what went wrong, or None; what is odd.

    Warnings are returned since this may be another process.
    """
    odd: list[str] = []
    try:
        with collected(odd.append), files.replacing_folder(place.parent) as part:
            (part / place.name).mkdir()
            write = write_stems if is_packed(path) else coded.write_wav
            write(path, part / place.name)
    except (UserError, OSError) as error:
        return error, odd
    return None, odd
