"""The folder data sets of Open-Unmix that have one target: all else is the source "rest"."""

from pathlib import Path

import numpy as np

from pipelines.datasets.stems_folder import MIXTURE, audio_files
from pipelines.tracks import opening as index
from pipelines.tracks.random_access import Part, Set
from pipelines.tracks.wav import SUFFIXES
from xumx_jax.errors import UserError

REST = "rest"


def open_aligned(
    root, targets, rate: int, channels: int, *,
    input_file: str = "", output_file: str = "", max_skipped: float = 0.1,
) -> tuple[Set, Set | None]:  # fmt: skip
    """Open ROOT/{train,valid}/<track>/{input_file, output_file}.

    The target is the output, "rest" what the input has beside it (their difference).
    """
    _wanted("aligned", input_file=input_file, output_file=output_file)
    target = one_target("aligned", targets)

    def describe(folder: Path) -> index.Track:
        mix, truth = (index.existing(folder / name) for name in (input_file, output_file))
        return index.Track((((truth, 1),), ((mix, 1), (truth, -1))), ((mix, 1),))

    hint = f"folders with {input_file} and {output_file} in them"
    return _both(root, targets, (target, REST), describe, rate, channels, max_skipped, hint)


def open_trackfolder_fix(
    root, targets, rate: int, channels: int, *,
    target_file: str = "", interferer_files=(), max_skipped: float = 0.1,
) -> tuple[Set, Set | None]:  # fmt: skip
    """Open ROOT/{train,valid}/<track>/ with the same files in each: target and interferers.

    A model of one target gets `target_file`, whatever it is called; one of several finds its
    targets among the files by their names without suffix.
    """
    interferers = index.listed(interferer_files)
    _wanted("trackfolder_fix", target_file=target_file, interferer_files=interferers)
    files = {_name_of(target_file, targets): target_file}
    for name in interferers:
        if Path(name).stem in files:
            raise UserError(f"trackfolder_fix: {name}: two files of one name")
        files[Path(name).stem] = name

    def describe(folder: Path) -> index.Track:
        return index.Track(tuple(((index.existing(folder / files[s]), 1),) for s in sources))

    sources, _ = index.arrange(root, targets, files)
    hint = f"folders with {', '.join(files.values())} in them"
    return _both(root, targets, tuple(files), describe, rate, channels, max_skipped, hint)


def open_trackfolder_var(
    root, targets, rate: int, channels: int, *,
    target_file: str = "", ext: str = ".wav", silence_missing: bool = False,
    max_skipped: float = 0.1,
) -> tuple[Set, Set | None]:  # fmt: skip
    """Open ROOT/{train,valid}/<track>/ with a target file and any number of others.

    "rest" is the sum of all other files that end in `ext`, but for one called mixture. A track
    without the target is left out, or its target is silent if `silence_missing`.
    """
    _wanted("trackfolder_var", target_file=target_file)
    target = one_target("trackfolder_var", targets)

    def describe(folder: Path) -> index.Track:
        path = folder / target_file
        truth = () if silence_missing and not path.is_file() else ((index.existing(path), 1),)
        others = [
            other
            for other in sorted(folder.glob(f"*{ext}"))
            if other.name != target_file and other.stem != MIXTURE and other.name[0] != "."
        ]
        if not others:
            raise UserError(f"{folder}: no *{ext} beside {target_file}")
        return index.Track((truth, tuple((other, 1) for other in others)))

    hint = f"folders with {target_file} and other *{ext} in them"
    return _both(root, targets, (target, REST), describe, rate, channels, max_skipped, hint)


def open_sourcefolder(
    root, targets, rate: int, channels: int, *,
    valid_seconds: float, target_dir: str = "", interferer_dirs=(), ext: str = "",
    valid_examples: int = 100, max_skipped: float = 0.1,
) -> tuple[Set, Set | None]:  # fmt: skip
    """Open ROOT/{train,valid}/<source>/*.wav or *.flac: sources that do not belong together.

    A model of one target gets the files of `target_dir`, whatever it is called; otherwise targets
    are folders. `interferer_dirs` are by default all other folders. Validation is `valid_examples`
    mixes of `valid_seconds`, drawn once and for all from ROOT/valid. `ext` restricts the files to
    one suffix.
    """
    root = index.folder(root)
    train, valid = index.splits(root)
    if target_dir:
        folders = {_name_of(target_dir, targets): target_dir}
    else:
        folders = {target: target for target in targets if (train / target).is_dir()}
    others = index.listed(interferer_dirs) or index.subfolders(train)
    folders |= {name: name for name in others if name not in folders.values()}
    sources, mixing = index.arrange(train, targets, folders)
    clips, skipped = _source_clips(train, folders, sources, ext, rate, channels, max_skipped)
    opened = Set(
        root=train,
        names=tuple(part.file.path.stem for (part,) in clips[0]),
        sources=sources,
        mixing=mixing,
        rate=rate,
        channels=channels,
        clips=clips,
        aligned=False,
        skipped=skipped,
    )
    if valid is None or not valid_examples:
        return opened, None
    clips, skipped = _source_clips(valid, folders, sources, ext, rate, channels, max_skipped)
    drawn = _fixed_mixes(clips, valid_examples, round(valid_seconds * rate))
    names = tuple(f"mix{number:04d}" for number in range(valid_examples))
    return opened, Set(
        valid, names, sources, mixing, rate, channels, drawn, aligned=True, skipped=skipped
    )


def _source_clips(root, folders, sources, ext, rate, channels, max_skipped):
    """All clips of each source, [source][file], and what was left out."""
    rows, skipped, total = [], [], 0
    for source in sources:
        place = root / folders[source]
        if not place.is_dir():
            raise UserError(f"{place}: no such folder; wanted audio files of {source}")
        paths, row = [p for p in audio_files(place) if not ext or p.name.endswith(ext)], []
        for path in paths:
            try:
                file = index.probe(path, rate, channels)
                if not file.samples:
                    raise UserError(f"{path}: holds no samples")
                row.append((Part(file, 1, 0, file.samples),))
            except UserError as error:
                skipped.append((f"{folders[source]}/{path.name}", str(error)))
        if not row:
            why = f"; {skipped[-1][1]}" if paths else ""
            raise UserError(f"{place}: no usable *{ext or ' or *'.join(SUFFIXES)}{why}")
        rows.append(tuple(row))
        total += len(paths)
    index.judge(root, skipped, total, max_skipped)
    return tuple(rows), tuple(skipped)


def _fixed_mixes(clips, count: int, samples: int):
    """One excerpt per source and mix, [source][mix], at random places that never change."""
    rows = []
    for source, files in enumerate(clips):
        row = []
        for number in range(count):
            place = np.random.Generator(np.random.Philox(key=[source, number])).random(2)
            (part,) = files[int(place[0] * len(files))]
            start = int(place[1] * (max(0, part.samples - samples) + 1))
            row.append((Part(part.file, 1, start, min(samples, part.samples)),))
        rows.append(tuple(row))
    return tuple(rows)


def one_target(name: str, targets) -> str:
    """The target of a model that has one (beside "rest"). Raises UserError for any other model."""
    own = [target for target in targets if target != REST]
    if len(own) != 1:
        raise UserError(
            f"data set {name!r} has one target and the rest; the model has {', '.join(targets)}"
        )
    return own[0]


def _name_of(file: str, targets) -> str:
    own = [target for target in targets if target != REST]
    return own[0] if len(own) == 1 else Path(file).stem


def _wanted(name: str, **options) -> None:
    for option, value in options.items():
        if not value:
            raise UserError(
                f"data set {name!r} wants the option {option} (--config.data.{name}.{option})"
            )


def _both(root, targets, known, describe, rate, channels, max_skipped, hint):
    """Open both splits of a root whose tracks are folders."""
    root = index.folder(root)
    sources, mixing = index.arrange(root, targets, known)

    def opened(place: Path) -> Set:
        return index.open_set(
            place, index.subfolders(place), lambda name: describe(place / name), sources, mixing,
            rate, channels, max_skipped, hint,
        )  # fmt: skip

    train, valid = index.splits(root)
    return opened(train), opened(valid) if valid else None
