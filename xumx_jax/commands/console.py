"""The terminal: printed lines, exit statuses, and Ctrl-C and SIGTERM.

A signal raises an exception while nothing is at stake, and is a request to stop while tracks run:
they are separated in threads, which receive no signals, check whether they should stop, and end as
they do after any error, so no interrupt can prevent the removal of a temporary file.
"""

import argparse
import logging
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from contextlib import contextmanager

from xumx_jax.errors import Cancelled, UserError

SOME_FAILED, USER_ERROR, INTERRUPTED = 1, 2, 130
STDOUT = "-"  # as the name of a file
REPORT = "please report this, with the output of `xumx doctor --json`"


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, like all errors of this program."""

    def error(self, message):
        raise UserError(f"{message} (see {self.prog} --help)")


def run_program(
    work: Callable[[], int],
    program: str = "xumx",
    debug: bool = False,
    interrupted: str = "interrupted",
) -> int:
    """Run `work()` -> the exit status of a program. All programs treat errors in this manner.

    A user's error, and an error of the system, is one line (with `debug`, after its traceback); any
    other is a fault of the program: its traceback, and a line that asks for a report. An error may
    have a `status` of its own.
    """
    try:
        return work()
    except UserError as error:
        say_error(error, debug, program=program)
        return getattr(error, "status", USER_ERROR)
    except KeyboardInterrupt as error:
        say("error", f"{interrupted}{error}", program)
        return getattr(error, "status", INTERRUPTED)
    except BrokenPipeError:  # whoever read our lines has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SOME_FAILED
    except Exception as error:
        say_error(error, debug, program=program)
        return SOME_FAILED


def say(kind, message, program="xumx"):
    """Print a line on stderr; `kind` is note, warning or error."""
    _print(f"{program}: {kind}: {' '.join(str(message).split())}")


def _print(line):
    if "tqdm" in sys.modules:  # there may be a bar to step around
        sys.modules["tqdm"].tqdm.write(line, file=sys.stderr)
    else:
        print(line, file=sys.stderr)


def say_line(line, out):
    """Print a line on `out`; if its reader has gone, warn once and carry on."""
    from tqdm import tqdm

    try:
        tqdm.write(line, file=out)
        out.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        name = "stderr" if out is sys.stderr else "stdout"
        say("warning", f"{name}: cannot be written: {error.strerror}")


def print_any_name():
    """Make any file name printable, even one that the terminal's encoding cannot represent.

    An output that the program was started without (`>&-`) discards what is printed.
    """
    sys.stdout = sys.stdout or open(os.devnull, "w")
    sys.stderr = sys.stderr or open(os.devnull, "w")
    if hasattr(sys.stdout, "reconfigure"):
        # as stderr does anyway
        sys.stdout.reconfigure(errors="backslashreplace")  # pyright: ignore[reportAttributeAccessIssue]


def say_error(
    error: BaseException, debug: bool = False, prefix: str = "", program: str = "xumx"
) -> None:
    """Print one line for an error that is no fault of the program, else its traceback and a line.

    `debug` prints the traceback in any case.
    """
    line = in_one_line(error)
    if debug or line is None:
        sys.stderr.write("".join(traceback.format_exception(error)))
    if line is None:
        reason = " ".join(str(error).split())[:300]
        line = f"unexpected {type(error).__name__}: {reason}; {REPORT}"
    say("error", line if isinstance(error, UserError) else f"{prefix}{line}", program)


def in_one_line(error: BaseException) -> str | None:
    """What an error says, in the system's words if it is one of the system; None for a fault."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, MemoryError):
        return "there is not enough memory"
    return None


class LogLines(logging.Handler):
    """Print what the library logs, one line per record."""

    draws_bars = True  # see `xumx_jax.fetch`

    def emit(self, record):
        _print(f"xumx: {' '.join(record.getMessage().split())}")


@contextmanager
def shown_log():
    """Print what the library logs within this context, once, and draw the bars of its downloads.

    Other handlers see the log too.
    """
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
    """Print warnings that belong to no track in one line each, within this context.

    Python handles warnings alike for all threads, so this applies to all of them.
    """

    def show(message, category, filename, lineno, file=None, line=None):
        say("warning", message)

    with warnings.catch_warnings():
        warnings.filterwarnings("always", category=UserWarning, module="xumx_jax")
        warnings.showwarning = show
        yield


# Programs get SIGHUP when their terminal is closed; Windows has no such signal.
_ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP; treated like Ctrl-C, with its own exit status."""

    def __init__(self, number):
        super().__init__(f" by {signal.Signals(number).name}")
        self.status = 128 + number


class Stop:
    """A request to stop, which threads check; `number` is the signal that caused it."""

    def __init__(self):
        self._event, self.number = threading.Event(), None

    def ask(self, number=None):
        self.number = self.number or number
        self._event.set()

    def asked(self) -> bool:
        return self._event.is_set()

    def check(self):
        """Raise Cancelled if a stop was asked for."""
        if self._event.is_set():
            raise Cancelled("interrupted")


@contextmanager
def terminable():
    """Raise Terminated on SIGTERM and SIGHUP within this context, like KeyboardInterrupt on Ctrl-C.

    An ignored signal, such as SIGHUP under `nohup`, stays ignored.
    """

    def end(number, frame):
        raise Terminated(number)

    with _handlers(dict.fromkeys(_ENDING, end)):
        yield


@contextmanager
def stoppable():
    """Yield a Stop that signals set within this context; they are raised when it ends.

    A second Ctrl-C ends the program at once.
    """
    stop = Stop()

    def ask(number, frame):
        stop.ask(number)
        signal.signal(number, signal.SIG_DFL)

    with _handlers(dict.fromkeys((signal.SIGINT, *_ENDING), ask)):
        try:
            yield stop
        except Cancelled:
            if stop.number is None:
                raise
    if stop.number == signal.SIGINT:
        raise KeyboardInterrupt
    if stop.number:
        raise Terminated(stop.number)


@contextmanager
def _handlers(wanted):
    """Set handlers, only in the main thread, as Python requires; restore the earlier ones."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number, handler in wanted.items():
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
