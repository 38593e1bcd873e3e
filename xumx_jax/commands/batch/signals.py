"""Ctrl-C and SIGTERM: an exception while nothing is at stake, a request to stop while tracks run.

Tracks are separated in threads, which receive no signals: they check whether they should stop, and
end as they do after any error, so no interrupt can prevent the removal of a temporary file.
"""

import signal
import threading
from contextlib import contextmanager

from xumx_jax.errors import Cancelled

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
