"""Open-Unmix's folders of sources: files that do not belong together, mixed at random."""

from pathlib import Path

import numpy as np

from pipelines.datasets.cache import cache_folder
from pipelines.datasets.decoded import FOLDER, decode_all, wav_of
from pipelines.datasets.openunmix import name_of
from pipelines.tracks import folders
from pipelines.tracks.opening import arrange, check_skipped, listed, probe
from pipelines.tracks.split import Request, Split
from pipelines.tracks.track import Clip, Part, Track, whole
from pipelines.tracks.wav import SUFFIXES
from xumx_jax.errors import UserError


def open_sourcefolder(
    root, request: Request, *,
    target_dir: str = "", interferer_dirs=(), ext: str = "", valid_examples: int = 100,
    max_skipped: float = 0.1,
) -> Split | None:  # fmt: skip
    """Open ROOT/<split>/<source>/*.wav (or FLAC, MP3, ...): sources that do not belong together.

    A model with one target gets the files of `target_dir`, whatever its name; otherwise targets are
    folders. `interferer_dirs` are by default all other folders. Validation and evaluation use
    `valid_examples` mixes, each as long as a validation piece (10 s in evaluation), which are
    always the same. `ext` restricts the files to one suffix.
    """
    root = request.root(root)
    place = request.folder(root)
    if place is None or not (valid_examples or request.split == "train"):
        return None
    # the sources are those of the training set, if there is one
    train = folders.split_for_training(root, "train") if request.training else place
    if target_dir:
        named = {name_of(target_dir, request): target_dir}
    else:
        named = {target: target for target in request.targets if (train / target).is_dir()}
    sounding = [name for name in folders.subfolders(train) if folders.has_audio(train / name)]
    others = listed(interferer_dirs) or sounding
    named |= {name: name for name in others if name not in named.values()}
    if request.training:
        sources, _ = arrange(train, request.targets, named)
    else:
        sources = tuple(sorted(named))  # the same mixes whatever the targets
    clips, skipped = _clips(place, named, sources, ext, request, max_skipped)
    made = {"known": sources, "max_skipped": max_skipped, "skipped": skipped}
    if request.training and request.split == "train":
        made["clips"] = clips
        made["names"] = tuple(part.file.path.stem for (part,) in clips[sources[0]])
    else:
        made["tracks"] = _fixed_mixes(place, clips, valid_examples, request.seconds)
    return Split(root, place, request.split, "sourcefolder", **made)


def _clips(root, named, sources, ext, request, max_skipped):
    """List all clips of each source -> ({source: (clip, ...)}, what was left out)."""
    clips, skipped, total = {}, [], 0
    for source in sources:
        place = root / named[source]
        if not place.is_dir():
            raise UserError(f"{place}: no such folder; wanted audio files of {source}")
        paths = [p for p in folders.audio_files(place) if p.name.lower().endswith(ext.lower())]
        coded = [path for path in paths if folders.is_coded(path)]
        places, faults = decode_all(coded, cache_folder() / FOLDER)
        row = []
        for path in paths:
            try:
                if path in faults:
                    raise faults[path]
                read = wav_of(path, places[path]) if path in places else path
                file = probe(read, request.rate, request.channels)
                if not file.samples:
                    raise UserError(f"{path}: holds no samples")
                row.append((whole(file),))
            except UserError as error:
                skipped.append((f"{named[source]}/{path.name}", str(error)))
        if not row:
            why = f"; {skipped[-1][1]}" if paths else ""
            raise UserError(f"{place}: no usable *{ext or ' or *'.join(SUFFIXES)}{why}")
        clips[source] = tuple(row)
        total += len(paths)
    check_skipped(root, skipped, total, max_skipped)
    return clips, tuple(skipped)


def _fixed_mixes(place: Path, clips, count: int, seconds: float) -> tuple[Track, ...]:
    """Make tracks of one excerpt per source, at random positions that never change."""

    def excerpt(source: int, files: tuple[Clip, ...], number: int) -> Clip:
        draw = np.random.Generator(np.random.Philox(key=[source, number])).random(2)
        (part,) = files[int(draw[0] * len(files))]
        samples = round(seconds * part.file.rate)
        start = int(draw[1] * (max(0, part.samples - samples) + 1))
        return (Part(part.file, 1, start, min(samples, part.samples)),)

    def track(number: int) -> Track:
        stems = {
            source: excerpt(row, files, number) for row, (source, files) in enumerate(clips.items())
        }
        name = f"mix{number:04d}"
        return Track(name, place / name, stems)

    return tuple(track(number) for number in range(count))
