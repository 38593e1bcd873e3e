"""`xumx separate`: one model, any number of tracks; a bad one does not stop the others.

Options are checked before anything heavy is imported, so mistakes and `--help` answer at once.
"""

from contextlib import ExitStack
from pathlib import Path

from xumx_jax import files, runtime
from xumx_jax.commands import console
from xumx_jax.commands import options as common
from xumx_jax.commands.batch import input_files
from xumx_jax.commands.console import SOME_FAILED, STDOUT, say
from xumx_jax.errors import UserError
from xumx_jax.separation.selection import check_choice, parse_aggregate
from xumx_jax.stores import is_url
from xumx_jax.weights.tasks import TASKS


def add(commands):
    command = commands.add_parser(
        "separate",
        help="split tracks into stems",
        description="Split tracks into stems: OUT/<track>/<stem>.wav, with the track's length, "
        "sample rate and channels.",
    )
    option = command.add_argument
    option(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help="audio or video files, folders, patterns, also as URLs such as s3://...; - is stdin",
    )
    common.add_model(command)
    common.add_wish(command)
    common.add_device(command)
    option(
        "--out",
        default="separated",
        metavar="DIR",
        help="a folder, or a URL such as s3://...; default: %(default)s; - is stdout",
    )
    option("--recursive", action="store_true", help="search subfolders too")
    option("--start", type=float, default=0.0, metavar="S", help="skip the first S seconds")
    option("--duration", type=float, metavar="S", help="separate S seconds; default: all")
    option(
        "--allow-truncated", action="store_true", help="separate what is left of files cut short"
    )
    option(
        "--skip-existing",
        action="store_true",
        help="skip tracks whose stems are all there, made by the same models with the same options",
    )
    option(
        "--overwrite",
        action="store_true",
        help="replace stems of other music, models or options; default: they stay, and the new "
        "ones go to a folder with another name",
    )
    option(
        "--allow-fallback",
        action="store_true",
        help="if the default model cannot be downloaded, separate several tracks with demo",
    )
    option("--jobs", type=int, default=1, metavar="N", help="tracks at once; default: %(default)s")
    option("--strict", action="store_true", help="fail on NaN and infinite samples")
    option(
        "--channels",
        default="front",
        choices=("front", "all"),
        help="if there are more than two: the front pair (default), or all, in pairs",
    )
    option("--stems", metavar="A,B", help="write only these stems; default: all")
    option("--two-stems", metavar="A", help="write this stem, and the rest of the mixture")
    option("--mix", metavar="A+B", help="write the sum of these stems, one file")
    option(
        "--aggregate",
        metavar="NAME=A+B,...",
        help="write sums of stems under these names",
    )
    option(
        "--format",
        default="wav",
        metavar="F",
        help="wav, flac, mp3, ogg, m4a or opus; default: %(default)s",
    )
    option("--bits", metavar="16|24|32f", help="for wav and flac (not 32f); default: 16")
    option("--bitrate", type=int, metavar="K", help="others, in kbit/s; default: 256, opus 192")
    option(
        "--rate",
        default="original",
        choices=("original", "model"),
        help="sample rate of the stems; default: %(default)s",
    )
    common.add_separation(command)
    option("--server", metavar="URL", help="let a server separate that runs `xumx serve`")
    option(
        "--token",
        metavar="TEXT",
        help=f"that it wants; the variable {common.TOKEN}, which others cannot see, "
        "holds one as well",
    )
    _add_catalogue(option)
    common.add_runner(command, "a catalogue is separated")
    option("--json", metavar="FILE", help="write a report on every track; - is stdout")
    command.set_defaults(run=run)


def _add_catalogue(option):
    option(
        "--manifest",
        metavar="PLACE",
        help="a catalogue: .csv or .parquet with a column path, a folder or a pattern; also a URL",
    )
    option(
        "--shard",
        metavar="I/N",
        help="separate the I-th of N parts of the catalogue, I from 0, as one of N machines",
    )


def run(options) -> int:
    """Separate what the options name -> 0, or 1 if some tracks failed."""
    from xumx_jax.commands.batch.report import Report

    models, applied = _check(options)
    if _catalogue_wanted(options):
        from xumx_jax.commands.catalogue import run as catalogue

        with console.terminable():
            return catalogue.run(options, models, applied)
    with ExitStack() as stack:
        stack.enter_context(console.terminable())
        spool = stack.enter_context(input_files.Spool())
        found = input_files.find(options.inputs, Path(options.out), options.recursive, spool)
        if options.out == STDOUT and len(found.tracks) > 1:
            raise UserError(f"--out - takes one track; use a folder for {len(found.tracks)}")
        if found.renamed:
            say(
                "note",
                f"{len(found.renamed)} tracks have the same name as others: their stems go to "
                f"folders with longer names, such as {found.renamed[0].folder}",
            )
        if found.passed_over and found.tracks:
            text = input_files.counted(found.passed_over)
            say("note", f"files passed over in folders: {text}; a file given by name is never")
        with Report(options.json, _given(options), found.tracks) as report:
            return report.end(_separate_all(options, models, applied, found, report))


def _check(options):
    """Check the options -> (models, options of a Separator). Raises UserError."""
    from xumx_jax import audio

    if not options.inputs and options.manifest is None:
        raise UserError(
            "the following arguments are required: INPUT or --manifest (see xumx separate --help)"
        )
    for name in ("out", "json"):  # shells leave ~ as it is in --out=~/stems
        if value := getattr(options, name):
            setattr(options, name, value if is_url(value) else str(files.expanded(value)))
    models = common.parse_models(common.wished(options))
    _check_task(options)
    if options.server is not None:
        from xumx_jax.commands.batch import remote

        remote.check(options, models)
    elif _catalogue_wanted(options):
        from xumx_jax.commands.catalogue import run as catalogue

        catalogue.check(options)
    if options.server is None and options.token is not None:
        raise UserError("--token is for --server URL; leave it out, or give both")
    applied = common.separator_options(options)
    audio.check_format(options.format, options.bits, options.bitrate)
    audio.check_range(options.start, options.duration)
    check_choice(options.stems, options.two_stems, options.mix, options.aggregate)
    if options.jobs < 1:
        raise UserError(f"jobs is {options.jobs}; wanted 1 or more")
    if options.skip_existing and options.overwrite:
        raise UserError("use either --skip-existing or --overwrite")
    if options.out == STDOUT:
        _check_stdout(options)
    return models, applied


def _check_task(options):
    """Let a task choose the stems, too, unless they are chosen. Raises UserError."""
    made = TASKS[options.task].stems if options.task else None
    if made is None or options.two_stems or options.mix or options.aggregate is not None:
        return
    if options.server is not None:
        (first, *_) = made
        raise UserError(
            f"--task {options.task} does not work with --server; use --two-stems {first} and a "
            "--model of the server's"
        )
    if options.stems is None:
        options.aggregate = made
    elif (asked := [name.strip() for name in options.stems.split(",")]) and set(asked) <= set(made):
        options.stems, options.aggregate = None, {name: made[name] for name in asked}


def _separate_all(options, models, applied, found, report) -> int:
    from xumx_jax import audio
    from xumx_jax.commands.batch.report import failed, relabelled

    for label, error in found.errors:
        failed(report, {"input": label}, error, options.debug)
    readable = []
    for track in found.tracks:
        try:
            audio.check_file(track.path)
            readable.append(track)
        except UserError as error:
            failed(report, {"input": track.label}, relabelled(error, track), options.debug)
    if readable and options.server is not None:
        from xumx_jax.commands.batch import remote

        remote.separate(models, readable, options, report)
    elif readable:
        runtime.prepare(options.device)
        from xumx_jax.commands.batch.run import separate

        separate(models, applied, readable, options, report)
    return SOME_FAILED if report.some_failed() else 0


def _given(options) -> dict:
    """All options, for the report; a token is a secret."""
    left_out = {"run", "token"} if options.server is not None else {"run", "token", "server"}
    return {name: value for name, value in vars(options).items() if name not in left_out}


def _check_stdout(options):
    one = options.mix is not None or (options.stems is not None and "," not in options.stems)
    one = one or (options.aggregate is not None and len(parse_aggregate(options.aggregate)) == 1)
    if not one or options.format != "wav":
        raise UserError("--out - writes one stem as wav; use --stems A or --mix A+B with it")
    for name in ("skip_existing", "overwrite"):
        if getattr(options, name):
            option = f"--{name.replace('_', '-')}"
            raise UserError(f"--out - writes no files that {option} could find")
    if options.json == STDOUT:
        raise UserError("--out - and --json - cannot both be stdout; use a file for one of them")


def _catalogue_wanted(options) -> bool:
    """Whether a command line asks for a catalogue: one is named, a part of one, or a store."""
    chosen = (options.manifest, options.shard, options.address, options.worker_cores)
    places = [*options.inputs, options.out]
    return (
        any(given is not None for given in chosen)
        or options.runner != common.RUNNERS[0]
        or any(map(is_url, places))
    )
