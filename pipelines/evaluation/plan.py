"""From a checked command line to the work, and from the work to the report."""

from collections.abc import Sequence
from pathlib import Path

from pipelines import datasets
from pipelines.evaluation import estimates, protocol, scoring, systems
from pipelines.evaluation.data import choose, find, open_dataset
from pipelines.evaluation.messages import say
from pipelines.evaluation.work import Work
from pipelines.tracks.split import Split
from pipelines.tracks.track import Track, in_order
from xumx_jax import files, metrics
from xumx_jax.errors import UserError
from xumx_jax.evaluation.report import write_report
from xumx_jax.evaluation.scores import TrackScores, read_methods
from xumx_jax.weights import store, zoo

COMPARED = "compare"  # folder within EVALDIR and OUTDIR for all but the first system


def make(options, separation: dict, evaldir: Path, outdir: Path | None):
    """Open what is to be evaluated -> (Work or None, {label: published scores}).

    Raises UserError, with one line, on the first thing that is missing or wrong.
    """
    published, names = _sort(options.compare, options.subset)
    models = [options.model] if options.model else []
    models += [[name] for name in names]
    if not (models or options.estimates):
        return None, published
    if not (options.root or options.dataset):
        raise UserError(f"no data to evaluate {', '.join(sum(models, []))} on; use --root")
    data = _data(options)
    chosen = choose(data, options.track, options.limit)
    for target in options.targets:
        if target not in data.targets:
            raise UserError(f"unknown target {target!r}; {data.root} has {', '.join(data.targets)}")
    made = _systems(options, models, data, chosen, separation)
    for number, system in enumerate(made):
        _check_new([system.label], [*published, *(other.label for other in made[:number])])
    precision = options.precision or metrics.usual_precision()
    wanted = scoring.settings(
        options.metrics, options.window_seconds, options.hop_seconds, precision
    )
    _check_pairs(made, wanted)
    if outdir:
        _check_outdir(outdir, data, made)
    inner = {system.label: Path(COMPARED) / system.label for system in made}
    if options.model or options.estimates:
        inner[made[0].label] = Path()
    folders = {label: evaldir / path for label, path in inner.items()}
    outdirs = {label: outdir / path for label, path in inner.items()} if outdir else {}
    return Work(data, chosen, made, wanted, folders, outdirs, options.overwrite), published


def _data(options) -> Split:
    """The tracks to evaluate on: those of a named data set, or else those found in the root."""
    if not options.dataset:
        return find(options.root, options.subset, options.is_wav)
    given = datasets.parse_options(options.dataset, options.dataset_option)
    if "max_skipped" in given:
        raise UserError(
            "max_skipped is for training; evaluation names the tracks that cannot be used"
        )
    if options.is_wav:
        given["is_wav"] = True
    return open_dataset(options.dataset, options.root, options.subset, options.targets, given)


def _sort(compared, subset: str) -> tuple[dict[str, list[TrackScores]], list[str]]:
    """Separate folders of scores, which are read, from models -> ({label: scores}, names)."""
    published: dict[str, list[TrackScores]] = {}
    names = []
    for name in compared:
        label, place = systems.label_of(name)
        folder = files.expanded(place)
        if _holds_scores(folder, subset):
            found = read_methods(folder, subset)
            if len(found) == 1 and place != name:  # a label was given
                found = {label: next(iter(found.values()))}
            _check_new(found, published)
            published |= {
                label: [protocol.of_another_run(one) for one in scores]
                for label, scores in found.items()
            }
        elif folder.is_dir() and not (_holds_model(folder) or _is_known(place)):
            raise UserError(
                f"{place}: neither scores nor a model; wanted {subset}/TRACK.json or "
                f"METHOD/{subset}/TRACK.json, or {store.MANIFEST} in it"
            )
        else:
            names.append(name)
    return published, names


def _systems(options, models, data, chosen, separation: dict) -> list[systems.System]:
    """Open estimates and models, in the order of the report; `parse_system` reads models."""
    made = []
    if options.estimates:
        label, place = systems.label_of(options.estimates)
        made.append(systems.folder(label, Path(place), data, chosen, options.targets))
    for texts in models:
        label, name, members = systems.parse_system(texts)
        if systems.is_oracle(name):
            made.append(systems.oracle(label, name, data, options.targets, chosen))
        else:
            given = (members, data, options.targets, separation, chosen)
            # of what is compared, each is a model of its own
            combine = options.combine if texts is options.model else None
            made.append(systems.model(label, name, *given, combine))
    _check_names(made)
    if not options.targets and any(s.folder or systems.is_oracle(s.name) for s in made):
        _say_unusual(data, chosen, made)
    return made


def _check_names(made: Sequence[systems.System]) -> None:
    """Raise UserError unless every target can name a file."""
    for target in (target for system in made for target in system.targets):
        if not files.safe_name(target, ""):
            raise UserError(f"the target {target!r} cannot be the name of a file; rename it")


def _say_unusual(data: Split, chosen: Sequence[Track], made: Sequence[systems.System]) -> None:
    """Print which sources of the tracks are not scored, since most tracks lack them."""
    scored = {target for system in made for target in system.targets}
    usual = data.usual(chosen)
    for source in in_order({name for track in chosen for name in track.sources} - set(usual)):
        if source not in scored:
            count = sum(source in track.sources for track in chosen)
            say("note", f"{source}: {count} of {len(chosen)} tracks have it; it is not scored")


def report(evaldir: Path, work: Work | None, published: dict) -> str:
    """Write the report on all systems with scores -> its text. Raises UserError if none has."""
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
        if published:
            sentences = [f"Computed here: {line}" for line in sentences]
    return write_report(evaldir, methods, sentences)


def _holds_scores(folder: Path, subset: str) -> bool:
    """Return whether a folder has <subset>/**.json or METHOD/<subset>/**.json, and is no model."""
    inner = folder.iterdir() if folder.is_dir() else ()
    return any(
        any(path.name != estimates.ORIGIN for path in place.glob("**/*.json"))
        for place in (folder / subset, *(path / subset for path in inner))
    )


def _is_known(name: str) -> bool:
    """Return whether this is a known name, which takes precedence over a folder of that name."""
    return systems.is_oracle(name) or name in zoo.names()


def _holds_model(folder: Path) -> bool:
    return any((folder / name).exists() for name in (store.MANIFEST, store.STEPS))


def _check_pairs(made, wanted: scoring.Settings) -> None:
    """Raise UserError if v4 is asked for with a single target."""
    for system in made:
        if wanted.full and len(system.targets) < 2:
            raise UserError(
                f"{system.name}: v4 compares targets with each other, and there is only "
                f"{system.targets[0]}; add another target, such as accompaniment, "
                "or use --metrics sdr"
            )


def _check_outdir(outdir: Path, data: Split, made) -> None:
    """Raise UserError if there are no estimates to write, or they would replace the tracks."""
    if all(system.write is None for system in made):
        raise UserError("--outdir has no use without a model; the estimates stay where they are")
    for track in data.tracks:
        if (outdir / data.subset / track.name).resolve() == track.path.resolve():
            raise UserError(f"{outdir}: estimates would replace the tracks; use another --outdir")


def _check_new(labels, known) -> None:
    for label in labels:
        if label in known:
            raise UserError(f"two systems are called {label!r}; use LABEL=NAME with another label")
