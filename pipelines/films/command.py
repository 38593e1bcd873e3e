"""The command line: what can be checked is checked before any file is opened."""

import json
from pathlib import Path

from pipelines.films.events import CLASSES, MUSIC, SFX, SPEECH
from pipelines.films.mixture import Folder, Recipe
from pipelines.films.work import SHARES, counts_of, make_all
from pipelines.tracks import folders
from pipelines.tracks.shares import divide
from xumx_jax import files
from xumx_jax.commands.console import Parser, one_line_warnings, run_program, terminable
from xumx_jax.errors import UserError

OPTIONS = {MUSIC: "music", SFX: "effects", SPEECH: "speech"}
SETTINGS = "films.json"
LEAST_SECONDS = 5.0
RATES = (4000, 192_000)


def main(arguments: list[str] | None = None) -> int:
    """Make mixtures -> the exit status: 0, 2 (the user's error), 130 (^C) or 143 (SIGTERM)."""

    def work() -> int:
        options = parser().parse_args(arguments)
        with one_line_warnings(), terminable():
            return run(options)

    return run_program(work, "films", interrupted="the same command goes on; interrupted")


def parser() -> Parser:
    """Build the parser."""
    made = Parser(
        prog="python -m pipelines.films",
        description="Mix music, effects and speech as the sound of films has them: "
        "OUT/tr|cv|tt/<id>/{mix,music,sfx,speech}.wav, mono, 16 bit, with a table of the clips in "
        "each. Files are WAV or FLAC of any rate, at any depth; 70, 10 and 20 % of them serve "
        "training, validation and test.",
    )
    add = made.add_argument
    for name in OPTIONS.values():
        add(f"--{name}", required=True, metavar="DIR", help=f"folder of {name}")
    add("--out", required=True, metavar="DIR", help="where the mixtures go")
    add("--seconds", type=float, default=60.0, metavar="S", help="of each; default: %(default)g")
    add("--mixtures", type=int, default=1000, metavar="N", help="in all; default: %(default)s")
    add("--rate", type=int, default=44_100, metavar="HZ", help="default: %(default)s")
    add("--seed", type=int, default=42, metavar="S", help="default: %(default)s")
    add("--processes", type=int, default=1, metavar="N", help="default: %(default)s")
    return made


def run(options) -> int:
    """Check everything, make what is missing."""
    low, high = RATES
    for name, least in (("mixtures", 1), ("processes", 1), ("seed", 0)):
        if getattr(options, name) < least:
            raise UserError(f"--{name} is {getattr(options, name)}; wanted {least} or more")
    if options.seed >= 2**63:
        raise UserError(f"--seed is {options.seed}; wanted less than 2^63")
    if not LEAST_SECONDS <= options.seconds < float("inf"):
        raise UserError(f"--seconds is {options.seconds:g}; wanted {LEAST_SECONDS:g} or more")
    if not low <= options.rate <= high:
        raise UserError(f"--rate is {options.rate}; wanted {low} to {high} Hz")
    out = files.expanded(options.out)
    places = {kind: files.expanded(getattr(options, name)) for kind, name in OPTIONS.items()}
    found = {kind: _listed(place, OPTIONS[kind], out) for kind, place in places.items()}
    chosen = {kind: divide(names, SHARES) for kind, names in found.items()}
    recipe = Recipe(
        options.seed, round(options.seconds * options.rate), options.rate,
        {
            split: {kind: Folder(places[kind], tuple(chosen[kind][split])) for kind in CLASSES}
            for split in SHARES
        },
    )  # fmt: skip
    settings = {"seed": options.seed, "seconds": options.seconds, "rate": options.rate} | {
        OPTIONS[kind]: f"{len(names)} files ({files.digest_of(map(repr, names))[:12]})"
        for kind, names in found.items()
    }
    files.check_place(out, [out / SETTINGS])
    out.mkdir(parents=True, exist_ok=True)
    try:
        with files.locked(out, waiting=None):
            _check_same(out / SETTINGS, settings)
            make_all(recipe, options.mixtures, out, options.processes)
    except BlockingIOError:
        raise UserError(f"{out}: another run is writing there; use another --out") from None
    counts = ", ".join(f"{count} in {name}" for name, count in counts_of(options.mixtures).items())
    print(f"{out}: {options.mixtures} mixtures ({counts})")
    return 0


def _listed(place: Path, option: str, out: Path) -> list[str]:
    """The files in a folder by their names there. Raises UserError if they are too few."""
    if not place.is_dir():
        raise UserError(f"{place}: not a folder; wanted one of WAV or FLAC files for --{option}")
    inside, outside = out.resolve(), place.resolve()
    if inside == outside or outside in inside.parents:
        raise UserError(f"{out}: lies in the folder of --{option}; use another --out")
    found = list(folders.named_below(place))
    if len(found) < len(SHARES):
        raise UserError(
            f"{place}: {len(found)} files; wanted at least {len(SHARES)}, since training, "
            "validation and test share none"
        )
    return found


def _check_same(path: Path, settings: dict) -> None:
    """Write down what the mixtures are made of, or raise UserError if it was something else."""
    if not path.exists():
        files.write(path, json.dumps(settings, indent=1) + "\n")
        return
    try:
        begun = json.loads(path.read_text("utf-8"))
        before = {name: begun[name] for name in settings}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not written by this program; use another --out") from error
    for name, value in settings.items():
        if before[name] != value:
            raise UserError(
                f"{path.parent}: was begun with {name} {before[name]}, now {value}; "
                "use another --out"
            )
