"""What all commands share: how they print, and their exit status."""

import logging
import os
import sys
import traceback
import warnings
from contextlib import contextmanager

SOME_FAILED, USER_ERROR, INTERRUPTED = 1, 2, 130


def say(kind, message):
    """Print a line of a kind: note, warning or error."""
    _print(f"xumx: {kind}: {' '.join(str(message).split())}")


def _print(line):
    if "tqdm" in sys.modules:  # there may be a bar to step around
        sys.modules["tqdm"].tqdm.write(line, file=sys.stderr)
    else:
        print(line, file=sys.stderr)


def say_line(line, out):
    """Print a line on `out`; where nobody reads it any more that is told once, and work goes on."""
    from tqdm import tqdm

    try:
        tqdm.write(line, file=out)
        out.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        name = "stderr" if out is sys.stderr else "stdout"
        say("warning", f"{name}: cannot be written: {error.strerror}")


def print_any_name():
    """Let names of files be printed that the terminal's coding does not know, or that have none.

    What a program is started without (`>&-`) takes and drops what is said.
    """
    sys.stdout = sys.stdout or open(os.devnull, "w")
    sys.stderr = sys.stderr or open(os.devnull, "w")
    if hasattr(sys.stdout, "reconfigure"):
        # as stderr has it anyway
        sys.stdout.reconfigure(errors="backslashreplace")  # pyright: ignore[reportAttributeAccessIssue]


def say_error(error: BaseException, debug: bool = False, prefix: str = ""):
    """One line for any error; where it happened comes before it with `debug`."""
    from xumx_jax.errors import UserError

    if debug:
        traceback.print_exception(error, file=sys.stderr)
    if isinstance(error, UserError):
        say("error", error)
    else:
        reason = " ".join(str(error).split())[:300]
        more = "" if debug else " (--debug shows where)"
        say("error", f"{prefix}unexpected {type(error).__name__}: {reason}{more}")


class LogLines(logging.Handler):
    """Print what the library logs, in one line each."""

    def emit(self, record):
        _print(f"xumx: {' '.join(record.getMessage().split())}")


@contextmanager
def shown_log():
    """Within this, what the library logs is printed, once; other handlers see it too."""
    logger, lines = logging.getLogger("xumx_jax"), LogLines(logging.INFO)
    if any(isinstance(other, LogLines) for other in logger.handlers):  # one command within another
        yield
        return
    before = logger.level
    logger.addHandler(lines)
    logger.setLevel(min(before or logging.INFO, logging.INFO))
    try:
        yield
    finally:
        logger.removeHandler(lines)
        logger.setLevel(before)


@contextmanager
def one_line_warnings():
    """Within this, warnings of the library that belong to no track are printed in one line.

    Python keeps what is done with warnings for all threads together, so this is for all of them.
    """

    def show(message, category, filename, lineno, file=None, line=None):
        say("warning", message)

    with warnings.catch_warnings():
        warnings.filterwarnings("always", category=UserWarning, module="xumx_jax")
        warnings.showwarning = show
        yield
