"""What users are told: the exception that a user, rather than a programmer, can cause; warnings."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class UserError(ValueError):
    """A file, option or name is not what was wanted; the message is one line and names it."""


class CheckpointError(UserError):
    """A checkpoint is missing, incomplete or damaged; the message names the file."""


class Cancelled(UserError):
    """A caller's callback asked for it: what had been begun was given up."""


_listener: ContextVar[Callable[[str], object] | None] = ContextVar("listener", default=None)


def warn(message: str) -> None:
    """Tell of something odd that stops nothing: to `collected`, else as a UserWarning."""
    if listener := _listener.get():
        listener(message)
    else:
        warnings.warn(message, stacklevel=2)


@contextmanager
def collected(listener: Callable[[str], object]) -> Iterator[None]:
    """Within this, `listener(message)` is called with what `warn` is given.

    It belongs to this thread, and to threads that are started with a copy of its context
    (`contextvars.copy_context().run`), so several tracks at once do not mix their warnings up.
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
