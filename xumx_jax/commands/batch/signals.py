"""Ctrl-C and SIGTERM: an exception while nothing is at stake, a request to stop while tracks run.

Tracks are separated in threads, where no signal arrives: they look whether they are to stop, and
leave by the same way as after any error, so no interrupt can come between a file and its removal.
"""

import signal
import threading
from contextlib import contextmanager

from xumx_jax.errors import Cancelled

# SIGHUP is what programs get whose terminal is closed; Windows has none.
_ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP; treated as Ctrl-C, with an exit status of its own."""

    def __init__(self, number):
        super().__init__(f" by {signal.Signals(number).name}")
        self.status = 128 + number


class Stop:
    """A request that threads look for with `check`; `number` is the signal that made it."""

    def __init__(self):
        self._event, self.number = threading.Event(), None

    def ask(self, number=None):
        self.number = self.number or number
        self._event.set()

    def asked(self) -> bool:
        return self._event.is_set()

    def check(self):
        """Raises Cancelled if it was asked for."""
        if self._event.is_set():
            raise Cancelled("interrupted")


@contextmanager
def terminable():
    """Within this, SIGTERM and SIGHUP are raised as Terminated, as Ctrl-C is as KeyboardInterrupt.

    A signal that is ignored, as SIGHUP is below `nohup`, stays so.
    """

    def end(number, frame):
        raise Terminated(number)

    with _handlers(dict.fromkeys(_ENDING, end)):
        yield


@contextmanager
def stoppable():
    """Within this, signals ask the Stop that it gives, and are raised when it ends.

    A second Ctrl-C ends the program on the spot.
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
    """Set handlers, in the main thread alone, where Python allows it; restore those before."""
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
