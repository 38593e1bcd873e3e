"""Warnings of several threads, each to whoever listens for that thread's track."""

import threading
import warnings
from contextlib import contextmanager

from xumx_jax.commands.console import say

_here = threading.local()


@contextmanager
def caught():
    """Within this, warnings of this program are told in one line, or to the thread's listener.

    Python keeps what is done with warnings for all threads together, so this is for all of them.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("always", category=UserWarning, module="xumx_jax")
        warnings.showwarning = _show
        yield


@contextmanager
def told_to(listener):
    """Within this, `listener(message)` is called with this thread's warnings."""
    before, _here.listener = current(), listener
    try:
        yield
    finally:
        _here.listener = before


def current():
    """This thread's listener, to hand on to another thread."""
    return getattr(_here, "listener", _say)


def _say(message):
    say("warning", message)


def _show(message, category, filename, lineno, file=None, line=None):
    current()(str(message))
