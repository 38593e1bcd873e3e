"""What all commands share: how they speak, their exit status, and the cache of compiled code."""

import os
import sys
import traceback
from contextlib import suppress

SOME_FAILED, USER_ERROR, INTERRUPTED = 1, 2, 130
ARENA_MAX = -8  # glibc's M_ARENA_MAX


def say(kind, message):
    line = f"xumx: {kind}: {' '.join(str(message).split())}"
    if "tqdm" in sys.modules:  # there may be a bar to step around
        sys.modules["tqdm"].tqdm.write(line, file=sys.stderr)
    else:
        print(line, file=sys.stderr)


def say_line(line, out):
    """Print a line on `out`; where nobody reads it any more that is told once, and work goes on."""
    from tqdm import tqdm

    try:
        tqdm.write(line, file=out)
        out.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        name = "stderr" if out is sys.stderr else "stdout"
        say("warning", f"{name}: cannot be written: {error.strerror}")


def speak_of_any_name():
    """Let names of files be printed that the terminal's coding does not know, or that have none.

    What a program is started without (`>&-`) takes and drops what is said.
    """
    sys.stdout = sys.stdout or open(os.devnull, "w")
    sys.stderr = sys.stderr or open(os.devnull, "w")
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr has it anyway


def say_error(error: BaseException, debug: bool = False, prefix: str = ""):
    """One line for any error; where it happened comes before it with `debug`."""
    from xumx_jax.errors import UserError

    if debug:
        traceback.print_exception(error, file=sys.stderr)
    if isinstance(error, UserError):
        say("error", error)
    else:
        reason = " ".join(str(error).split())[:300]
        more = "" if debug else " (--debug shows where)"
        say("error", f"{prefix}unexpected {type(error).__name__}: {reason}{more}")


def keep_compiled_code():
    """Settings of JAX for a program, before it starts: XLA keeps compiled code between runs.

    Unless the user has said where or not to. And no FFT may lock the process up.
    """
    import jax

    from xumx_jax.separation.threads import let_no_fft_lock
    from xumx_jax.zoo import cache_folder

    let_no_fft_lock()
    if (
        jax.config.jax_compilation_cache_dir is None
        and "JAX_ENABLE_COMPILATION_CACHE" not in os.environ
    ):
        jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "compiled"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def keep_one_heap():
    """Let glibc serve all threads from one heap, before they begin; elsewhere nothing is done.

    By default every thread has one, each keeps what was freed in it, and a long track in blocks of
    many megabytes then takes half as much memory again (bench/RESULTS.md).
    """
    if sys.platform == "linux" and not {"MALLOC_ARENA_MAX", "GLIBC_TUNABLES"} & set(os.environ):
        import ctypes

        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).mallopt(ARENA_MAX, 1)
