"""The one exception that a user, rather than a programmer, can cause."""


class UserError(ValueError):
    """A file, option or name is not what was wanted; the message is one line and names it."""


class CheckpointError(UserError):
    """A checkpoint is missing, incomplete or damaged; the message names the file."""


class Cancelled(UserError):
    """A caller's callback returned False: what was asked for was given up."""
