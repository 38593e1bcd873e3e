"""`xumx serve`: separation behind an HTTP interface, for pages, phones, scripts and programs.

Options are checked before anything heavy is imported, so mistakes and `--help` answer at once.
"""

import os
import re
import sys
from pathlib import Path

from xumx_jax import files, runtime
from xumx_jax.commands import console
from xumx_jax.commands import options as common
from xumx_jax.commands.options import TOKEN
from xumx_jax.errors import UserError

EXTRA = "pip install 'xumx_jax[web]'"
PORT = 8000
UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}


def add(commands) -> None:
    """Add the command to the parser's commands."""
    command = commands.add_parser(
        "serve",
        help="separate tracks that come over HTTP",
        description="Separate tracks that come over HTTP, one after the other, and keep their "
        "stems for a while. /docs on the server describes the interface, and / is the page of "
        f"`xumx web`. Needs the extra web: {EXTRA}.",
    )
    add_options(command)
    command.add_argument(
        "--example",
        action="store_true",
        help="separate the clip that comes with the program as well, for the page",
    )
    command.set_defaults(run=run)


def add_options(command) -> None:
    """Add the options of a server, whichever command starts it."""
    option = command.add_argument
    option(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="where to listen; others than this machine reach it at 0.0.0.0 or another address, "
        "which needs a token; default: %(default)s",
    )
    option(
        "--port",
        type=int,
        metavar="N",
        help=f"0 takes one that is free; default: {PORT}",
    )
    option(
        "--token",
        metavar="TEXT",
        help=f"what clients must present; the variable {TOKEN}, which others here cannot "
        "see, holds one as well; default: none is needed, on this machine",
    )
    option(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name under which clients reach the server, as behind a proxy; may be given several "
        "times",
    )
    option(
        "--proxy",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="a proxy's address or network, whose X-Forwarded-For says who a client is; * is any; "
        "may be given several times",
    )
    option(
        "--data",
        metavar="DIR",
        help="folder of the queue, the uploads and the stems; default: jobs in the cache",
    )
    option(
        "--model",
        action="append",
        default=[],
        metavar="NAME|PATH",
        help="a model that jobs may ask for, the first by default; may be given several times; "
        "default: x-umx, or demo if that cannot be downloaded, and all of `xumx models`",
    )
    common.add_device(command)
    option(
        "--keep",
        default="7d",
        metavar="TIME",
        help="how long stems are kept: a number with s, m, h, d or w; default: %(default)s",
    )
    option(
        "--max-mb",
        type=float,
        default=1024,
        metavar="N",
        help="megabytes of an upload; default: %(default)s",
    )
    option(
        "--max-minutes",
        type=float,
        default=180,
        metavar="N",
        help="minutes of a track; default: %(default)s",
    )
    option(
        "--max-queue",
        type=int,
        default=100,
        metavar="N",
        help="jobs that wait, of all clients; default: %(default)s",
    )
    option(
        "--max-per-client",
        type=int,
        default=20,
        metavar="N",
        help="jobs that wait or run, of one client; default: %(default)s",
    )
    option(
        "--min-free-mb",
        type=float,
        default=1024,
        metavar="N",
        help="megabytes free on the disk, with less than which uploads are refused; "
        "default: %(default)s",
    )
    option(
        "--length-wanted",
        action="store_true",
        help="refuse uploads that do not say their length beforehand",
    )


def run(options) -> int:
    """Serve until a signal ends it; the exit status is then that of the signal."""
    settings = settings_of(options)
    return serve(program_of("serve"), settings, lambda address: say_line(f"listening on {address}"))


def program_of(command: str):
    """The module `xumx_jax.web.program`. Raises UserError where the extra is missing."""
    try:
        from xumx_jax.web import program
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("fastapi", "pydantic", "starlette", "uvicorn"):
            raise UserError(f"xumx {command} needs {error.name}: {EXTRA}") from None
        raise
    return program


def serve(program, settings, listening_at, ports=()) -> int:
    """Serve until a signal ends it: see `xumx_jax.web.program.serve`."""
    ended = True
    try:
        with console.stoppable() as stop:
            ended = program.serve(settings, stop.asked, listening_at, ports)
    except KeyboardInterrupt as error:
        if ended:
            raise
        console.say("error", f"interrupted{error}")
        program.end_now(getattr(error, "status", console.INTERRUPTED))
    return 0


def settings_of(options):
    """The options as `Settings`. Raises UserError on values that make no sense."""
    from xumx_jax.web.settings import MEGABYTE, Settings, is_loopback

    token = options.token if options.token is not None else os.environ.get(TOKEN) or None
    if token is not None and not re.fullmatch(r"[!-~]+", token):
        raise UserError("--token: wanted letters, digits and signs of ASCII, without spaces")
    if token is None and not is_loopback(options.host):
        raise UserError(
            f"--host {options.host}: others could use this machine; use a --token as well, which "
            "clients must present"
        )
    port = PORT if options.port is None else options.port
    if not 0 <= port <= 65535:
        raise UserError(f"--port is {port}; wanted 0 to 65535")
    for name in ("max_mb", "max_minutes", "max_queue", "max_per_client"):
        value, shown = getattr(options, name), f"--{name.replace('_', '-')}"
        if not 0 < value < 1e9:
            raise UserError(f"{shown} is {value:g}; wanted a positive number")
    if not 0 <= options.min_free_mb < 1e9:
        raise UserError(f"--min-free-mb is {options.min_free_mb:g}; wanted 0 or more")
    for name in options.allow_host:
        if not re.fullmatch(r"(\[[\da-f:.]+\]|[\w.-]+)(:\d{1,5})?", name, re.I):
            raise UserError(f"--allow-host {name}: wanted a name such as music.example")
    for address in options.proxy:
        if address != "*" and not _is_network(address):
            raise UserError(f"--proxy {address}: wanted an address such as 10.0.0.1, or *")
    folder = files.expanded(options.data) if options.data else runtime.cache_folder() / "jobs"
    files.check_place(folder)
    return Settings(
        folder=Path(folder),
        models=tuple(os.path.expanduser(name) for name in options.model),
        device=options.device,
        host=options.host.strip("[]"),
        port=port,
        hosts=tuple(name.lower() for name in options.allow_host),
        proxies=tuple(options.proxy),
        token=token,
        keep_seconds=seconds_of(options.keep),
        max_bytes=round(options.max_mb * MEGABYTE),
        max_seconds=options.max_minutes * 60,
        length_wanted=options.length_wanted,
        max_queue=options.max_queue,
        max_per_client=options.max_per_client,
        min_free_bytes=round(options.min_free_mb * MEGABYTE),
        example=options.example,
    )


def seconds_of(text: str) -> float:
    """A time such as "7d" or "1.5h" in seconds. Raises UserError."""
    match = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*([a-z]?)", text.strip().lower())
    if not match or match[2] not in UNITS or not float(match[1]):
        raise UserError(f"--keep is {text!r}; wanted a time such as 90m, 12h or 7d")
    return float(match[1]) * UNITS[match[2]]


def _is_network(text: str) -> bool:
    import ipaddress

    try:
        return bool(ipaddress.ip_network(text))
    except ValueError:
        return False


def say_line(line: str) -> None:
    """Print a line on stdout."""
    console.say_line(line, sys.stdout)
