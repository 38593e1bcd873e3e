"""Errors that a user, rather than a programmer, can cause; and warnings."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class UserError(ValueError):
    """A file, option or name is not what was wanted; the message is one line and names it."""


class CheckpointError(UserError):
    """A checkpoint is missing, incomplete or damaged; the message names the file."""


class CutOff(UserError):
    """A file ends before its header says so; `HINT` ends the message where an option helps."""

    HINT = ", or --allow-truncated"


class Cancelled(UserError):
    """A caller's callback asked to stop; unfinished work was discarded."""


_listener: ContextVar[Callable[[str], object] | None] = ContextVar("listener", default=None)


def warn(message: str) -> None:
    """Report something odd that does not stop the work: to `collected`, else as a UserWarning."""
    if listener := _listener.get():
        listener(message)
    else:
        warnings.warn(message, stacklevel=2)


@contextmanager
def collected(listener: Callable[[str], object]) -> Iterator[None]:
    """Call `listener(message)` for every `warn` within this context.

    It applies to this thread, and to threads started with a copy of its context
    (`contextvars.copy_context().run`), so tracks separated at once do not mix up their warnings.
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
