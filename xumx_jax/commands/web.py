"""`xumx web`: separation in the browser. It is `xumx serve`, whose page it opens.

Options are checked before anything heavy is imported, so mistakes and `--help` answer at once.
"""

import os
import sys
import threading
import webbrowser
from urllib.parse import urlsplit

from xumx_jax.commands import console, serve
from xumx_jax.commands.serve import EXTRA, PORT, say_line

_MORE_PORTS = range(PORT + 1, PORT + 20)  # where to listen when the usual port is taken
_OPENING_SECONDS = 10.0  # for a browser that is opened by a command which then ends


def add(commands) -> None:
    """Add the command to the parser's commands."""
    command = commands.add_parser(
        "web",
        help="separate tracks in the browser, and play their stems",
        description="Separate tracks in the browser, and play their stems there: starts a server "
        "for this machine and opens its page. Options are those of `xumx serve`. If one runs "
        f"already with the same --data, its page is opened. Needs the extra web: {EXTRA}.",
    )
    serve.add_options(command)
    command.add_argument(
        "--no-example",
        dest="example",
        action="store_false",
        help="leave out the clip that comes with the program, which a first visit shows",
    )
    command.add_argument(
        "--no-browser", action="store_true", help="print the page's address, and do not open it"
    )
    command.set_defaults(run=run)


def run(options) -> int:
    """Serve until a signal ends it; or open the page of a server that runs already."""
    settings = serve.settings_of(options)
    program = serve.program_of("web")
    from xumx_jax.web import running

    def show(address: str) -> threading.Thread | None:
        return None if options.no_browser or not has_browser() else opened(address)

    other = running.found(settings.folder)
    if other is not None and _is_meant(options, settings, other):
        say_line(f"running already on {other['address']}")
        if opening := show(other["address"]):
            opening.join(_OPENING_SECONDS)
        return 0

    def listening_at(address: str) -> None:
        own, outside = running.local(address), running.from_outside(address)
        if options.port is None and urlsplit(own).port != PORT:
            console.say("note", f"port {PORT} is taken: --port chooses another")
        say_line(f"listening on {own}")
        if outside:
            say_line(f"for other devices on {outside}")
        show(own)

    return serve.serve(program, settings, listening_at, _MORE_PORTS if options.port is None else ())


def _is_meant(options, settings, other) -> bool:
    """Whether a server that runs is where this one would be."""
    port = urlsplit(other["address"]).port
    return settings.host == other["host"] and options.port in (None, port)


def has_browser() -> bool:
    """Whether a page that is opened here is seen by whoever started the program.

    Not as root, whose browser would be another one than the user's, or refuse to start.
    """
    if os.environ.get("BROWSER"):
        return True
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return False
    if sys.platform in ("win32", "darwin"):
        return "SSH_CONNECTION" not in os.environ
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def opened(address: str) -> threading.Thread:
    """Open a page in the user's browser, in a thread that this returns: some wait for its end."""

    def work():
        try:
            browser = webbrowser.get()
            # those that run in the terminal, where our lines are, only if they were asked for
            text = type(browser) is webbrowser.GenericBrowser and not os.environ.get("BROWSER")
            done = not text and browser.open(address)
        except (webbrowser.Error, OSError):
            done = False
        if not done:
            console.say("note", f"no browser could be opened; open {address} in one")

    thread = threading.Thread(target=work, name="browser", daemon=True)
    thread.start()
    return thread
