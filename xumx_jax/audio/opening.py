"""Open files that somebody has named, safely, and tell what is wrong with them."""

import errno
import io
import os
import stat
import struct
from contextlib import contextmanager

from xumx_jax.errors import UserError

_SPECIAL = {stat.S_IFIFO: "pipe", stat.S_IFCHR: "device", stat.S_IFBLK: "device"}
_SPECIAL |= {stat.S_IFSOCK: "socket"}


def check_file(path) -> None:
    """Raise UserError unless `path` is a regular file that is not empty; it is not opened."""
    with told(path):
        found = os.stat(path)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if special := _SPECIAL.get(stat.S_IFMT(found.st_mode)):
            # opening it might wait for ever
            raise UserError(f"{path}: is a {special}; use a file (or - in `xumx separate`)")
        if not os.access(path, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if not found.st_size:
            raise UserError(f"{path}: the file is empty (0 bytes); wanted an audio file")


@contextmanager
def told(path):
    """Turn whatever a file can cause into a UserError that names it."""
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
    except MemoryError:
        reason = "it needs more memory than there is"
    except struct.error:
        reason = "its header is cut off"
    except (ValueError, RuntimeError, ArithmeticError) as error:
        reason = " ".join(str(error).split())
    else:
        return
    raise UserError(f"{path}: cannot be read: {reason}; wanted an audio file") from None


def open_binary(path) -> io.FileIO:
    """Open a regular file, unbuffered for libsndfile's sake. Raises UserError as `check_file`."""
    check_file(path)
    with told(path):
        # should it have become a pipe meanwhile, this does not wait for somebody to write to it
        file = open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb", buffering=0)
        file.name = str(path)
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise UserError(f"{path}: is no regular file any more; wanted an audio file")
        return file
