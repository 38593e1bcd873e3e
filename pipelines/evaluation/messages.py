"""Lines on stderr: one each, with the program's name."""

import sys
import threading
from contextlib import contextmanager

_here = threading.local()  # the track that a thread is at


def say(kind: str, message) -> None:
    """Print one line; `kind` is error, warning or note."""
    print(f"evaluate: {kind}: {' '.join(str(message).split())}\n", end="", file=sys.stderr)
    sys.stderr.flush()


@contextmanager
def at(name: str):
    """Within this, warnings of this thread are told with a track's name."""
    before, _here.name = getattr(_here, "name", ""), name
    try:
        yield
    finally:
        _here.name = before


def show_warning(message, *_) -> None:
    """One line, without the place in the code that `warnings.showwarning` is told."""
    name = getattr(_here, "name", "")
    say("warning", f"{name}: {message}" if name else message)
