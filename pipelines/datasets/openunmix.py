"""Open-Unmix's data sets of track folders with one target; everything else is "rest"."""

from collections.abc import Callable
from pathlib import Path

from pipelines.tracks import folders
from pipelines.tracks.names import ACCOMPANIMENT, MIXTURE, source_of, sums
from pipelines.tracks.opening import listed
from pipelines.tracks.split import Request, Split
from pipelines.tracks.sums import set_aside
from pipelines.tracks.track import Clip, Part, Track
from xumx_jax.errors import UserError

REST = "rest"


def open_aligned(
    root, request: Request, *,
    input_file: str = "", output_file: str = "", max_skipped: float = 0.1,
) -> Split | None:  # fmt: skip
    """Open ROOT/<split>/<track>/{input_file, output_file}.

    The target is the output, and "rest" is the input minus the output.
    """
    wanted("aligned", request, input_file=input_file, output_file=output_file)
    target = one_target("aligned", request, output_file)

    def stems(folder: Path) -> dict[str, Clip]:
        mix, truth = (folders.file_in(folder, name) for name in (input_file, output_file))
        return {target: (Part(truth),), REST: (Part(mix), Part(truth, -1))}

    hint = f"folders with {input_file} and {output_file} in them"
    return _open(
        "aligned", root, request, (target, REST), stems, max_skipped, hint,
        lambda folder: (Part(folders.file_in(folder, input_file)),),
    )  # fmt: skip


def open_trackfolder_fix(
    root, request: Request, *,
    target_file: str = "", interferer_files=(), max_skipped: float = 0.1,
) -> Split | None:  # fmt: skip
    """Open ROOT/<split>/<track>/ with the same files in each: target and interferers.

    A model of one target gets `target_file`, whatever it is called; one of several finds its
    targets among the files by their names without suffix.
    """
    name = "trackfolder_fix"
    interferers = listed(interferer_files)
    wanted(name, request, target_file=target_file, interferer_files=interferers)
    files = {name_of(target_file, request): target_file}
    for file in interferers:
        if Path(file).stem in files:
            raise UserError(f"{name}: {file}: two files with the same name")
        files[Path(file).stem] = file

    def stems(folder: Path) -> dict[str, Clip]:
        return {source: (Part(folders.file_in(folder, file)),) for source, file in files.items()}

    hint = f"folders with {', '.join(files.values())} in them"
    return _open(name, root, request, tuple(files), stems, max_skipped, hint)


def open_trackfolder_var(
    root, request: Request, *,
    target_file: str = "", ext: str = ".wav", silence_missing: bool = False,
    max_skipped: float = 0.1,
) -> Split | None:  # fmt: skip
    """Open ROOT/<split>/<track>/ with a target file and any number of others.

    "rest" is the sum of all other files that end in `ext`, except those that hold others, such as
    a mixture, and the parts of a target that is such a file. A track without the target is left
    out; with `silence_missing` its target is silent instead.
    """
    wanted("trackfolder_var", request, target_file=target_file)
    target = one_target("trackfolder_var", request, target_file)

    root = request.root(root)
    place = request.folder(root)
    if place is None:
        return None

    def all_of(folder: Path) -> Track:
        paths = [
            path
            for path in folders.audio_files(folder)
            if path.name.lower().endswith(ext.lower()) and source_of(path) != MIXTURE
        ]
        own = folders.file_in(folder, target_file)
        stems = {path.stem: (Part(path),) for path in (*paths, *([own] if own.is_file() else []))}
        return Track(folder.name, folder, stems, aside=sums(stems, folder.name))

    listed = [all_of(folder) for folder in folders.track_folders(place)]
    own = {folders.file_in(track.path, target_file).stem for track in listed}
    found = {track.path: track for track in set_aside(place, listed, sorted(own))}

    def stems(folder: Path) -> dict[str, Clip]:
        path, track = folders.file_in(folder, target_file), found[folder]
        clips = (track.stems[source] for source in track.sources)
        others = tuple(part for clip in clips for part in clip if part.file != path)
        if not (silence_missing or path.is_file()):
            raise UserError(f"{path}: no such file")
        if not others:
            raise UserError(f"{folder}: no *{ext} beside {target_file}")
        return {target: (Part(path),) if path.is_file() else (), REST: others}

    hint = f"folders with {target_file} and other *{ext} in them"
    return _open("trackfolder_var", root, request, (target, REST), stems, max_skipped, hint)


def one_target(name: str, request: Request, file: str) -> str:
    """The name of the target: the model's only target (besides "rest").

    In evaluation without such a target it is the file's name. Raises UserError for other models.
    """
    own = _own(request)
    if request.training and len(own) != 1:
        raise UserError(
            f"data set {name!r} has one target and the rest, but the model has "
            f"{', '.join(request.targets)}"
        )
    return name_of(file, request)


def name_of(file: str, request: Request) -> str:
    """The name of the model's only target, or else the file's name."""
    own = _own(request)
    return own[0] if len(own) == 1 else Path(file).stem


def wanted(name: str, request: Request, **options) -> None:
    """Raise UserError for the first of these options that was not given."""
    for option, value in options.items():
        if not value:
            raise UserError(
                f"data set {name!r} needs the option {option} ({request.option(name, option)})"
            )


def _own(request: Request) -> list[str]:
    sums = {REST} if request.training else {REST, ACCOMPANIMENT}
    return [target for target in request.targets if target not in sums]


def _open(
    name: str, root, request: Request, known: tuple[str, ...],
    stems: Callable[[Path], dict[str, Clip]], max_skipped: float, hint: str,
    mixture: Callable[[Path], Clip | None] = lambda folder: None,
) -> Split | None:  # fmt: skip
    """List a split whose tracks are folders; `stems` returns the clips in one, or what is wrong."""
    root = request.root(root)
    place = request.folder(root)
    if place is None:
        return None

    def track(folder: Path) -> Track:
        try:
            return Track(folder.name, folder, stems(folder), mixture(folder))
        except UserError as error:
            return Track(folder.name, folder, {}, fault=str(error))

    tracks = tuple(folders.lost(folder) or track(folder) for folder in folders.track_folders(place))
    return Split(
        root, place, request.split, name, tracks, known, max_skipped=max_skipped, hint=hint
    )
