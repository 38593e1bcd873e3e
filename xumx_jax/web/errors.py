"""Why a job is refused or fails, if not because of its track; `code` is for programs."""

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
