"""Messages on stderr: one line each, with the program's name."""

import sys
import threading
from contextlib import contextmanager

_here = threading.local()  # the track that a thread works on


def say(kind: str, message) -> None:
    """Print one line; `kind` is error, warning or note."""
    print(f"evaluate: {kind}: {' '.join(str(message).split())}\n", end="", file=sys.stderr)
    sys.stderr.flush()


@contextmanager
def at(name: str):
    """Print this thread's warnings with a track's name, within this context."""
    before, _here.name = getattr(_here, "name", ""), name
    try:
        yield
    finally:
        _here.name = before


def show_warning(message, *_) -> None:
    """Print a warning in one line, without its place in the code; see `warnings.showwarning`."""
    name = getattr(_here, "name", "")
    say("warning", f"{name}: {message}" if name else message)
