"""A track, or an input that gave none, that failed: one line, and an entry of the report."""

from xumx_jax.commands.console import say_error
from xumx_jax.errors import UserError


def failed(report, entry: dict, error: BaseException, debug: bool):
    """Tell of it and report it."""
    label = entry["input"]
    report.add({**entry, "status": "failed", "error": " ".join(str(error).split())})
    say_error(error, debug, f"{label}: " if label else "")


def relabelled(error, track):
    """The same error, with what the user called the file in place of a temporary name."""
    if isinstance(error, UserError):
        text = str(error).replace(str(track.path), track.label)
        return UserError(text).with_traceback(error.__traceback__)
    return error
