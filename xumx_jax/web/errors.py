"""Why a job is refused or fails, if not because of its track; `code` is for programs.

And how a message is shown to clients.
"""

import os
from pathlib import Path

from xumx_jax.errors import UserError


class NoRoom(UserError):
    """The disk is too full for a job."""

    code = "no_room"


class TooMany(UserError):
    """A job more than the server, or one client, may have waiting."""

    code = "too_many"


class Gone(UserError):
    """A job is not there any more, or not in the state that was meant."""

    code = "gone"


class NoModel(UserError):
    """A model cannot be loaded; the log says why."""

    code = "no_model"


def shown(message: str, folder: Path) -> str:
    """A message without the places of files on this machine."""
    for place in (folder, folder.parent):
        if place.name:  # neither "." nor "/"
            message = message.replace(f"{place}{os.sep}", "").replace(str(place), place.name)
    return message
