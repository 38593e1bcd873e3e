"""The command line of the search; what can be checked is checked before any track is opened."""

import importlib.util
from pathlib import Path

from pipelines.slicq_search import report
from pipelines.slicq_search.results import Row
from pipelines.slicq_search.space import SAMPLERS, Candidate, Space, parse
from xumx_jax import files
from xumx_jax.commands import options as common
from xumx_jax.commands.console import (
    Parser,
    one_line_warnings,
    print_any_name,
    run_program,
    terminable,
)
from xumx_jax.errors import UserError
from xumx_jax.transforms.slicq.transform import RULES

PROGRAM = "slicq_search"
RESULTS, TABLE, PICTURE = "trials.jsonl", "table.csv", "scores.png"
PUBLISHED = "bark:262:32.9"


def main(arguments: list[str] | None = None) -> int:
    """Search -> the exit status: 0, 2 (the user's error), 130 (^C) or 143 (SIGTERM)."""
    print_any_name()

    def work() -> int:
        options = parser().parse_args(arguments)
        with one_line_warnings(), terminable():
            return run(options)

    return run_program(work, PROGRAM, interrupted="the same command goes on; interrupted")


def parser() -> Parser:
    """Build the parser."""
    made = Parser(
        prog=f"python -m pipelines.{PROGRAM}",
        description="Search the parameters of a sliCQ transform: those with which true magnitudes "
        "and the mixture's phases give the best stems, as mean SDR over tracks, then over targets. "
        f"Writes OUT/{RESULTS} after every trial (the same command goes on with it), and finally "
        f"OUT/{TABLE} and OUT/{PICTURE}.",
    )
    add, space = made.add_argument, Space()
    add("--root", metavar="FOLDER", help="MUSDB18 as STEMS or WAV, or folders of stems")
    add("--out", default="slicq-search", metavar="FOLDER", help="default: %(default)s")
    add("--dataset", metavar="NAME", help="a data set of train.py; default: detected from --root")
    add(
        "--dataset-option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an option of that data set; may be given several times",
    )
    add("--subset", default="valid", metavar="NAME", help="default: %(default)s")
    add("--is-wav", action="store_true", help="read WAV where there are STEMS too")
    add("--track", nargs="+", action="extend", metavar="NAME", help="use only these tracks")
    add("--limit", type=int, metavar="N", help="use at most N tracks")
    add("--targets", nargs="+", default=[], metavar="T", help="default: what most tracks have")
    add("--trials", type=int, default=60, metavar="N", help="default: %(default)s")
    add(
        "--sampler",
        default="random",
        choices=tuple(SAMPLERS),
        help="who chooses: chance (default), or Optuna, which learns from the scores so far",
    )
    add("--seed", type=int, default=42, metavar="S", help="default: %(default)s")
    add(
        "--scales",
        nargs="+",
        default=list(space.scales),
        metavar="S",
        help="to choose from; also oct and linear",
    )
    pairs = (
        ("--bins", int, space.bins, "bins of the scale; of oct, in an octave"),
        ("--low-hz", float, space.low_hz, "the lowest band above that of 0 Hz, in steps of 0.1"),
        ("--gamma-hz", float, space.gamma_hz, "of vqlog: added to all centres, in steps of 0.1"),
    )
    for name, kind, ends, words in pairs:
        default = " ".join(f"{end:g}" for end in ends)
        help = f"{words}; default: {default}"
        add(name, nargs=2, type=kind, default=list(ends), metavar=("LEAST", "MOST"), help=help)
    add(
        "--max-slice",
        type=int,
        default=space.max_slice,
        metavar="N",
        help="draw again what has slices of more than N samples; default: %(default)s",
    )
    add(
        "--rule",
        default=RULES[0],
        choices=RULES,
        help="inverse of the transform: exact (default), or that of xumx-sliCQ, which on some "
        "scales is not",
    )
    add(
        "--also",
        action="append",
        default=[],
        metavar="SCALE:BINS:HZ",
        help="a transform to compare with, beside STFTs and the published bark:262:32.9; may be "
        "given several times",
    )
    add("--jobs", type=int, default=1, metavar="N", help="trials at once; default: %(default)s")
    common.add_device(made)
    return made


def run(options) -> int:
    """Check everything, search what is left, report."""
    space, compared = _check(options)
    out = files.expanded(options.out)
    files.check_place(out, [out / name for name in (RESULTS, TABLE, PICTURE)])
    out.mkdir(parents=True, exist_ok=True)
    try:
        with files.locked(out, waiting=None):
            return _search(options, space, compared, out)
    except BlockingIOError:
        raise UserError(f"{out}: another search is writing there; use another --out") from None


def _check(options) -> tuple[Space, list[Candidate]]:
    """The space, and what to compare with. Raises UserError on options that make no sense."""
    if not (options.root or options.dataset):
        raise UserError("no data; use --root with the folder of MUSDB18")
    if options.dataset_option and not options.dataset:
        raise UserError(f"--dataset-option {options.dataset_option[0]}: use --dataset as well")
    options.targets = [name for text in options.targets for name in text.replace(",", " ").split()]
    for name, least in (("trials", 1), ("jobs", 1), ("limit", 1), ("seed", 0), ("max_slice", 64)):
        value = getattr(options, name)
        if value is not None and value < least:
            option = f"--{name.replace('_', '-')}"
            raise UserError(f"{option} is {value}; wanted {least} or more")
    if importlib.util.find_spec("matplotlib") is None:
        raise UserError("the picture needs matplotlib, not installed here: pip install '.[eval]'")
    space = Space(
        tuple(dict.fromkeys(options.scales)), tuple(options.bins), tuple(options.low_hz),
        tuple(options.gamma_hz), options.max_slice,
    )  # fmt: skip
    return space, list(map(parse, options.also))


def _search(options, space: Space, compared: list[Candidate], out: Path) -> int:
    from tqdm import tqdm

    from pipelines.slicq_search import music, results, work
    from pipelines.slicq_search.work import Shared

    data, chosen = music.tracks(options)
    targets = music.targets(options.targets, data, chosen)
    settings = {
        "tracks": {track.name: track.digest for track in chosen},
        "targets": targets,
        "sampler": options.sampler,
        "seed": options.seed,
        "rule": options.rule,
        **vars(space),
    }
    found = results.opened(out / RESULTS, settings)
    with music.opened(data, chosen, targets) as tracks:
        rate = tracks[0].rate
        sampler = SAMPLERS[options.sampler](space, rate, options.seed, options.jobs > 1)
        rows = [*work.STFTS, *with_published(compared, rate)]
        bar = tqdm(
            total=options.trials + len(rows),
            initial=len(found.rows),
            unit="transform",
            disable=None,
        )

        def on_row(row: Row) -> None:
            if top := report.best(found.rows):
                bar.set_postfix_str(f"best {top.score:.3f} dB", refresh=False)
            bar.update()

        shared = Shared(tuple(tracks), targets, options.rule, options.device)
        with bar, work.pool(options.jobs, shared) as pool:
            work.search(found, sampler, options.trials, rows, pool, on_row)
    files.write(out / TABLE, report.as_csv(found.rows, targets))
    files.write(out / PICTURE, report.picture(found.rows, rate))
    print(report.table(found.rows, targets))
    print(f"{len(found.trials())} trials on {len(tracks)} tracks: {out / TABLE}, {out / PICTURE}")
    return 0


def with_published(compared: list[Candidate], rate: int) -> list[Candidate]:
    """The published transform, if there is one of the kind at this rate, and the given ones.

    Raises UserError if one of these is impossible.
    """
    found = []
    for candidate in dict.fromkeys((parse(PUBLISHED), *compared)):
        try:
            candidate.transform(rate)
            found.append(candidate)
        except ValueError as error:
            if candidate in compared:
                raise UserError(f"--also {candidate} at {rate} Hz: {error}") from None
    return found
