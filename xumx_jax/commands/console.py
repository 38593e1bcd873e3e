"""The terminal: printed lines, exit statuses, and Ctrl-C and SIGTERM.

A signal raises an exception while nothing is at stake, and is a request to stop while tracks run:
they are separated in threads, which receive no signals, check whether they should stop, and end as
they do after any error, so no interrupt can prevent the removal of a temporary file.
"""

import logging
import os
import signal
import sys
import threading
import traceback
import warnings
from contextlib import contextmanager

from xumx_jax.errors import Cancelled

SOME_FAILED, USER_ERROR, INTERRUPTED = 1, 2, 130


def say(kind, message):
    """Print a line on stderr; `kind` is note, warning or error."""
    _print(f"xumx: {kind}: {' '.join(str(message).split())}")


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


def say_error(error: BaseException, debug: bool = False, prefix: str = ""):
    """Print one line for any error, after its traceback with `debug`."""
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
    """Print the library's warnings that belong to no track in one line each, within this context.

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
