"""The command line, `xumx`: separate tracks, convert weights, list models, draw, train, evaluate.

Options are checked before anything heavy is imported, so mistakes and `--help` answer at once.
"""

import argparse
import sys

from xumx_jax.commands import doctor, export, models, plot, separate, serve, web
from xumx_jax.commands.console import (
    Parser,
    one_line_warnings,
    print_any_name,
    run_program,
    shown_log,
)
from xumx_jax.commands.options import parse_models
from xumx_jax.errors import UserError

# Programs with their own parsers, which `commands.recipes` starts.
PROGRAMS = {
    "train": "train a model from a recipe",
    "evaluate": "separate a test set, score it and report the scores",
}


class PrintVersion(argparse.Action):
    """`--version`: print it and exit; it is looked up only then."""

    def __init__(self, option_strings, dest, **options):
        super().__init__(option_strings, dest, nargs=0, help="print the version and exit")

    def __call__(self, parser, namespace, values, option_string=None):
        from xumx_jax.versions import own

        print(f"xumx {own()}")
        parser.exit()


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status.

    0, 1 (something failed), 2 (the command line was wrong, or nothing could begin), 130 (^C) or
    143 (SIGTERM).
    """
    print_any_name()
    given = sys.argv[1:] if arguments is None else arguments

    def work() -> int:
        if given and given[0] in PROGRAMS:
            from xumx_jax.commands import recipes

            return recipes.run(given[0], given[1:])
        options = parser(given[0] if given else None).parse_args(given)
        with shown_log(), one_line_warnings():
            return options.run(options)

    return run_program(work, debug="--debug" in given)


def parser(asked: str | None = None) -> argparse.ArgumentParser:
    """Build the parser of all commands, or only of the one that was asked for."""
    top = Parser(prog="xumx", description="Music source separation.")
    top.add_argument("--version", action=PrintVersion)
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    for name, add in COMMANDS.items():
        if asked == name or asked not in COMMANDS:
            add(commands)
    if asked not in COMMANDS:
        for name, text in PROGRAMS.items():
            commands.add_parser(name, help=text, add_help=False)
    for command in commands.choices.values():
        command.add_argument("--debug", action="store_true", help="show where errors come from")
    return top


def _add_convert(commands):
    command = commands.add_parser(
        "convert",
        help="convert weights to this program's format",
        description="Convert weights of this or another program to a checkpoint folder, or to a "
        "single file if OUT ends in .safetensors. Several models become one folder, which also "
        "keeps the weights used to average their stems.",
    )
    command.add_argument("source", nargs="+", metavar="IN[:W]", help="as for separate --model")
    command.add_argument("target", metavar="OUT")
    command.add_argument("--kind", metavar="K", help="kind of weights; default: detected")
    command.add_argument("--combine", metavar="RULE", help="as for separate; kept in the folder")
    command.add_argument(
        "--setting",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="argument of the model that the file leaves open, such as hop=441; may be repeated",
    )
    command.add_argument("--adapters", metavar="FILE", help="adapters of a run, to be added to IN")
    command.set_defaults(run=convert)


def convert(options) -> int:
    """Convert what the options name, and print what was written."""
    models = parse_models(options.source)
    for name, given in (("kind", options.kind), ("setting", " ".join(options.setting))):
        if len(models) > 1 and given:
            raise UserError(f"--{name} {given} is for one model; convert each one on its own first")

    from xumx_jax.weights.load import convert

    given = str(models[0][0]) if len(models) == 1 else models
    settings = settings_of(options.setting)
    written = convert(
        given,
        options.target,
        options.kind,
        combine=options.combine,
        settings=settings,
        adapters=options.adapters,
    )
    names = ", ".join(dict.fromkeys(member.name for member in written.members))
    print(f"{options.target}: {names} ({', '.join(written.sources)})")
    return 0


def settings_of(given: list[str]) -> dict:
    """{"hop": 441, "shares": [0.2, 0.4, 0.4]} of ["hop=441", "shares=0.2,0.4,0.4"].

    Raises UserError on another form, and on a name that occurs twice.
    """
    from xumx_jax.weights.converters import yamlfile

    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise UserError(f"--setting {text}: wanted NAME=VALUE, such as hop=441")
        if name in found:
            raise UserError(f"--setting {text}: {name} is given twice")
        try:
            values = yamlfile.parse(f"[{value}]")
        except UserError as error:
            raise UserError(f"--setting {text}: {error}") from error
        found[name] = tuple(values) if len(values) > 1 or name == "sources" else values[0]
    return found


COMMANDS = {
    "separate": separate.add,
    "web": web.add,
    "serve": serve.add,
    "convert": _add_convert,
    "models": models.add,
    "export": export.add,
    "plot": plot.add,
    "doctor": doctor.add,
}

if __name__ == "__main__":
    sys.exit(main())
