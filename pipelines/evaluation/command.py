"""The command line of evaluate.py; mistakes are reported before anything heavy is imported."""

import signal
import sys
import warnings
from contextlib import ExitStack
from math import isfinite
from pathlib import Path

from pipelines.evaluation.messages import show_warning
from pipelines.tracks.names import ACCOMPANIMENT, VOCALS
from xumx_jax import files
from xumx_jax.commands import options as common
from xumx_jax.commands import ray_connection
from xumx_jax.commands.console import SOME_FAILED, Parser, run_program, shown_log
from xumx_jax.errors import UserError
from xumx_jax.weights.tasks import TASKS

TERMINATED = 128 + signal.SIGTERM
METRICS = ("v4", "sdr", "usdr", "si-sdr")


def main(arguments: list[str] | None = None, prog: str = "evaluate.py") -> int:
    """Evaluate -> the exit status: 0, 1 (some tracks failed), 2 (the user's error), 130 (^C)."""
    before = signal.signal(signal.SIGTERM, _terminate)

    def work() -> int:
        options = parser(prog).parse_args(arguments)
        with shown_log():
            return run(options)

    try:
        return run_program(
            work, "evaluate", interrupted="interrupted; run the same command to resume"
        )
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(number, frame):
    raise SystemExit(TERMINATED)  # so that temporary files are removed on the way out


def parser(prog: str = "evaluate.py") -> Parser:
    """Build the parser."""
    made = Parser(
        prog=prog,
        description="Separate the tracks of a test set, score them by museval's protocol "
        "(BSSEval v4) and report: per track EVALDIR/<subset>/<track>.json, together "
        "EVALDIR/scores.{json,csv,md} and EVALDIR/boxplots/. Tracks that are already scored are "
        "not scored again.",
    )
    add = made.add_argument
    common.add_model(made, False, ". Or an oracle or a baseline. LABEL=... gives it a name")
    common.add_wish(made)
    add(
        "--estimates",
        metavar="FOLDER",
        help="score estimates of any program instead: <subset>/<track>/<target>.wav",
    )
    add(
        "--compare",
        nargs="+",
        default=[],
        metavar="X",
        help="further models or oracles to evaluate, or folders of museval's scores",
    )
    add("--root", metavar="FOLDER", help="MUSDB18 as STEMS or WAV, or folders of stems")
    add("--evaldir", required=True, metavar="FOLDER", help="for scores and the report")
    add("--outdir", metavar="FOLDER", help="keep the estimates: <subset>/<track>/<target>.wav")
    add("--is-wav", action="store_true", help="read WAV where there are STEMS too")
    add(
        "--dataset",
        metavar="NAME",
        help="a data set of train.py, with its splits as subsets; default: detected from --root",
    )
    add(
        "--dataset-option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an option of that data set; may be given several times",
    )
    add("--subset", default="test", metavar="NAME", help="default: %(default)s")
    add(
        "--targets",
        nargs="+",
        default=[],
        metavar="T",
        help="default: the model's; accompaniment is everything but vocals",
    )
    add(
        "--metrics",
        nargs="+",
        default=["v4"],
        metavar="M",
        help=f"any of {', '.join(METRICS)}; v4 (default) is SDR, ISR, SIR and SAR",
    )
    add("--track", nargs="+", action="extend", metavar="NAME", help="evaluate only these tracks")
    add("--limit", type=int, metavar="N", help="evaluate at most N tracks")
    add("--jobs", type=int, default=1, metavar="N", help="tracks at once; default: %(default)s")
    common.add_runner(made, "the tracks are separated and scored")
    add("--overwrite", action="store_true", help="replace what is already there")
    add("--window-seconds", type=float, default=1.0, metavar="S", help="default: %(default)s")
    add("--hop-seconds", type=float, default=1.0, metavar="S", help="default: %(default)s")
    add(
        "--precision",
        metavar="float64|float32",
        help="precision of v4; default: float64, or float32 on a TPU",
    )
    group = made.add_argument_group("separation, for every model; see `xumx separate --help`")
    common.add_separation(group)
    common.add_device(group)
    return made


def run(options) -> int:
    """Check everything, evaluate what has not been evaluated yet, report."""
    applied = common.separator_options(options)
    _check(options)
    evaldir = _writable(options.evaldir, "--evaldir")
    outdir = _writable(options.outdir, "--outdir") if options.outdir else None

    from pipelines.evaluation import plan
    from xumx_jax import runtime

    runtime.prepare(options.device)
    with ExitStack() as stack:
        nodes = None
        if options.runner == "ray":  # first of all: Ray starts processes, which JAX warns of
            nodes = stack.enter_context(ray_connection.connected(options.address))
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("always", category=UserWarning, module=r"xumx_jax|pipelines")
        warnings.showwarning = show_warning
        work, published = plan.make(options, applied, evaldir, outdir)
        if work:
            work.look()
            if nodes is not None:
                from pipelines.evaluation import on_ray

                on_ray.run(nodes, work, options, applied, evaldir, outdir)
            else:
                work.run(options.jobs)
    print(plan.report(evaldir, work, published))
    return SOME_FAILED if work and work.failed else 0


def _check(options) -> None:
    """Raise UserError on options that are missing, do not go together or make no sense."""
    options.model = common.wished(options)
    if options.task and TASKS[options.task].stems and not options.targets:
        options.targets = [VOCALS, ACCOMPANIMENT]
    if options.model and options.estimates:
        raise UserError(
            "--model and --estimates cannot be combined; put the others after --compare"
        )
    if not (options.model or options.estimates or options.compare):
        raise UserError("nothing to evaluate; use --model, --estimates or --compare")
    if (options.model or options.estimates) and not (options.root or options.dataset):
        raise UserError("no data; use --root with the folder of MUSDB18")
    if options.dataset_option and not options.dataset:
        raise UserError(f"--dataset-option {options.dataset_option[0]}: use --dataset as well")
    if options.is_wav and options.dataset not in (None, "musdb"):
        raise UserError(f"--is-wav is for MUSDB18; the data set is {options.dataset!r}")
    common.check_runner(options)
    options.metrics = _words(options.metrics)
    options.targets = _words(options.targets)
    subset = Path(options.subset)
    if subset.is_absolute() or ".." in subset.parts:
        raise UserError(f"--subset {subset}: wanted the name of a folder in the root")
    for name in options.metrics:
        if name not in METRICS:
            raise UserError(f"unknown metric {name!r}; known: {', '.join(METRICS)}")
    if options.precision not in (None, "float64", "float32"):
        raise UserError(f"precision is {options.precision}; wanted float64 or float32")
    for name in ("jobs", "limit"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise UserError(f"{name} is {value}; wanted 1 or more")
    for name in ("window_seconds", "hop_seconds"):
        value = getattr(options, name)
        if not (isfinite(value) and value > 0):
            raise UserError(f"{name.replace('_', '-')} is {value}; wanted a positive number")


def _words(given) -> list[str]:
    """Split at spaces and commas."""
    return [word for text in given for word in text.replace(",", " ").split()]


def _writable(folder, option: str) -> Path:
    """The folder, made if it is missing. Raises UserError if files cannot be written there."""
    path = files.expanded(folder)
    probe = files.partial_name(path / "probe")
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f"{path}: cannot be written to ({error.strerror}); {option}") from None
    return path


if __name__ == "__main__":
    sys.exit(main())
