"""From a checked command line to the work, and from the work to the report."""

from pathlib import Path

from pipelines.evaluation import protocol, scoring, systems, tracks
from pipelines.evaluation.work import Work
from xumx_jax import checkpoint
from xumx_jax.errors import UserError
from xumx_jax.evaluation.report import write_report
from xumx_jax.evaluation.scores import TrackScores, read_methods

COMPARED = "compare"  # folder within EVALDIR and OUTDIR for all but the first system


def make(options, separation: dict, evaldir: Path, outdir: Path | None):
    """Open what is to be evaluated -> (Work or None, {label: published scores}).

    Raises UserError, with one line, on the first thing that is not there or not what it should be.
    """
    published: dict[str, list[TrackScores]] = {}
    names = [options.model] if options.model else []
    for name in options.compare:
        label, place = systems.label_of(name)
        if _holds_scores(Path(place).expanduser(), options.subset):
            found = read_methods(Path(place).expanduser(), options.subset)
            if len(found) == 1 and place != name:  # a label was given
                found = {label: next(iter(found.values()))}
            _check_new(found, published)
            published |= found
        elif _holds_neither(Path(place).expanduser()):
            raise UserError(
                f"{place}: neither scores nor a model; wanted {options.subset}/TRACK.json or "
                f"METHOD/{options.subset}/TRACK.json, or {checkpoint.MANIFEST} in it"
            )
        else:
            names.append(name)
    if not (names or options.estimates):
        return None, published
    if not options.root:
        raise UserError(f"no data to evaluate {', '.join(names)} on; wanted --root, or for "
                        "--compare folders of scores alone")  # fmt: skip

    data = tracks.find(options.root, options.subset, options.is_wav)
    chosen = tracks.choose(data, options.track, options.limit)
    for target in options.targets:
        if target not in data.targets:
            raise UserError(f"unknown target {target!r}; {data.root} has {', '.join(data.targets)}")
    made = []
    if options.estimates:
        label, place = systems.label_of(options.estimates)
        made.append(systems.folder(label, Path(place), data, chosen, options.targets))
    for name in names:
        label, place = systems.label_of(name)
        if systems.is_oracle(place):
            made.append(systems.oracle(label, place, data, options.targets))
        else:
            made.append(systems.model(label, place, data, options.targets, separation))
    labels = dict.fromkeys(published)
    for system in made:
        _check_new([system.label], labels)
        labels[system.label] = None
    wanted = scoring.settings(
        options.metrics, options.window_seconds, options.hop_seconds, _precision(options)
    )
    if wanted.full:
        for system in made:
            if len(system.targets) < 2:
                raise UserError(
                    f"{system.name}: v4 compares targets with each other, and has only "
                    f"{system.targets[0]}; wanted another target, such as accompaniment, "
                    "or --metrics sdr"
                )
    if outdir:
        _check_outdir(outdir, data)
    if outdir and all(system.separate is None for system in made):
        raise UserError("--outdir has no use without a model; the estimates stay where they are")
    folders, outdirs = {}, {}
    for number, system in enumerate(made):
        first = number == 0 and bool(options.model or options.estimates)
        inner = Path() if first else Path(COMPARED) / system.label
        folders[system.label] = evaldir / inner
        if outdir:
            outdirs[system.label] = outdir / inner
    return Work(data, chosen, made, wanted, folders, outdirs, options.overwrite), published


def report(evaldir: Path, work: Work | None, published: dict) -> str:
    """Write the report over all that has scores; returns its text. Raises UserError if nothing."""
    methods, sentences = dict(published), []
    if work:
        found = {
            system.label: [protocol.for_report(one, system) for one in work.scores(system)]
            for system in work.systems
        }
        found = {label: scores for label, scores in found.items() if scores}
        if not found:
            raise UserError("no track could be scored, so there is no report")
        methods = found | methods
        sentences = protocol.sentences(work.data, work.tracks, work.wanted, work.failed)
    return write_report(evaldir, methods, sentences)


def _precision(options) -> str:
    import jax

    # a TPU has no double precision to speak of
    return options.precision or ("float32" if jax.default_backend() == "tpu" else "float64")


def _holds_scores(folder: Path, subset: str) -> bool:
    """Whether it has <subset>/**.json or METHOD/<subset>/**.json in it, rather than a model."""
    return any(
        any(place.glob("**/*.json")) for place in (folder / subset, *folder.glob(f"*/{subset}"))
    )


def _holds_neither(folder: Path) -> bool:
    models = (checkpoint.MANIFEST, checkpoint.STEPS)
    return folder.is_dir() and not any((folder / name).exists() for name in models)


def _check_outdir(outdir: Path, data: tracks.Data) -> None:
    """Raises UserError if estimates would replace the true sources."""
    for track in data.tracks:
        if (outdir / data.subset / track.name).resolve() == track.path.resolve():
            raise UserError(
                f"{outdir}: estimates would replace the tracks; wanted another --outdir"
            )


def _check_new(labels, known) -> None:
    for label in labels:
        if label in known:
            raise UserError(f"two are called {label!r}; wanted LABEL=NAME with another label")
