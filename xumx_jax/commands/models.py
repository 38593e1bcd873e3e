"""`xumx models`: which models have names, what each is for, and which of them are in the cache."""

import dataclasses
import json
import shutil
import sys
import textwrap

from xumx_jax import assets
from xumx_jax.commands import options as common
from xumx_jax.errors import UserError
from xumx_jax.weights.tasks import OTHER, TASKS

UNLIMITED = 10_000  # columns, where nobody reads at a terminal


def add(commands) -> None:
    """Add the command to the parser's commands."""
    command = commands.add_parser(
        "models",
        help="list the models that have names, or download them",
        description="List the models that --model knows by name, by what they separate: licences, "
        "sizes, how long they take here, published scores, and which are in the cache and so work "
        "offline. Those that --task and --quality choose come first.",
    )
    command.add_argument("--task", choices=(*TASKS, OTHER), help="list only those for this task")
    command.add_argument(
        "--licensed",
        action="store_true",
        help="list only weights whose makers state a licence that allows any use",
    )
    command.add_argument("--json", action="store_true", help="print everything as JSON")
    command.add_argument(
        "--download",
        action="append",
        default=[],
        metavar="NAME",
        help="download into the cache instead of listing; may be given several times",
    )
    common.add_device(command)
    command.set_defaults(run=run)


def run(options) -> int:
    """List the models, or download those named."""
    from xumx_jax.weights import zoo

    if options.download and (options.task or options.licensed or options.json):
        raise UserError("--download NAME lists nothing; leave out --task, --licensed and --json")
    for name in options.download:
        path = zoo.find(name)
        print(f"{name}: {path}")
        if name in zoo.PUBLISHED:
            print(f"  licence: {zoo.PUBLISHED[name].licence}")
    if not options.download:
        listed(options)
    return 0


def listed(options) -> None:
    """Print the models that the options ask for."""
    import jax

    from xumx_jax import runtime
    from xumx_jax.weights import catalogue

    runtime.choose_device(options.device)
    backend = jax.default_backend()
    found = {
        task: [one for one in models if one.licensed or not options.licensed]
        for task, models in catalogue.by_task(backend).items()
        if options.task in (None, task)
    }
    if options.json:
        every = [dataclasses.asdict(one) for models in found.values() for one in models]
        print(json.dumps({"device": backend, "models": every}, indent=1))
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else UNLIMITED
    print("\n".join(table(found, backend, width, str(runtime.cache_folder()))))


def table(found, backend: str, width: int, cache: str) -> list[str]:
    """Lines of at most `width` columns, but for words that are longer, on models by task."""
    from xumx_jax.weights.published import PROTOCOLS  # which other commands need not

    def wrapped(text: str, indent: str = "") -> list[str]:
        return textwrap.wrap(
            text, max(width, 40), initial_indent=indent, subsequent_indent=f"{indent}  ",
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip

    lines = [f"models by name; cache: {cache}"]
    for task, models in found.items():
        lines += ["", *wrapped(heading(task))]
        for one in models:
            lines += wrapped(f"{one.name}: {', '.join(facts(one, backend))}", "  ")
            lines += wrapped(one.what, "      ")
            rule = f"; combined by the rule {one.combine}" if one.combine else ""
            lines += wrapped(f"stems: {', '.join(one.sources)}{rule}", "      ")
            lines += wrapped(f"licence: {one.licence}", "      ")
            lines += wrapped(f"SDR: {one.score}", "      ") if one.score else []
    lines += ["", *wrapped("Times are rough: of two CPU cores, or of one GPU or TPU. Scores are as "
                           "reported, and of different songs and measures:")]  # fmt: skip
    for whose, how in PROTOCOLS.items():
        lines += wrapped(f"{whose}: {how}", "  ")
    return lines


def heading(task: str) -> str:
    """What a task is, and which models it stands for."""
    if task == OTHER:
        return f"{OTHER}: for no task, by name alone"
    wanted = TASKS[task]
    if not wanted.models:
        return f"--task {task}: {wanted.what}; no licensed weights, by name alone"
    chosen = ", ".join(f"{quality} {name}" for quality, name in wanted.models.items())
    if len(set(wanted.models.values())) == 1:
        chosen = f"always {next(iter(wanted.models.values()))}"
    return f"--task {task}: {wanted.what}; {chosen}"


def facts(one, backend: str) -> list[str]:
    """Size, time, and whether a model is there, in words."""
    size = "size unknown" if one.megabytes is None else f"{one.megabytes:.0f} MB"
    took = "time unknown"
    if one.seconds is not None:
        on = "" if one.measured == backend else f" on a {one.measured.upper()}"
        took = f"about {rounded(one.seconds)} per minute of music{on}"
    there = "bundled" if one.name == assets.DEMO else "cached" if one.cached else "to be downloaded"
    return [size, took, there]


def rounded(seconds: float) -> str:
    """A rough time: 27.3 -> "27 s", 384 -> "6 min"."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
