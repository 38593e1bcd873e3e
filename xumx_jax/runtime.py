"""The process and the machine: JAX's flags, the heap, the caches, the device, cores and threads.

The settings concern the whole process: programs make them before JAX starts, a library must not.
"""

import errno
import logging
import os
import sys
import tempfile
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

from xumx_jax.errors import UserError

LOG = logging.getLogger(__name__)
# Options of glibc's heap: M_ARENA_MAX, a single one; M_MMAP_THRESHOLD and M_TRIM_THRESHOLD, which
# keep what is freed, up to a size.
HEAP = {-8: 1, -3: 1 << 30, -1: 2**31 - 1}
KEEP_ALL = {-4: 0, -1: -1}  # M_MMAP_MAX and M_TRIM_THRESHOLD: however large it is
# Since this jaxlib, an FFT on a thread of XLA's CPU pool waits for other threads of that pool: as
# many FFTs at once as the pool has threads deadlock. Introduced by openxla/xla pull request 46347.
DEADLOCKING, ONE_POOL_THREAD = (0, 11), "--xla_cpu_multi_thread_eigen=false"
# {device: JAX's names for it, each with the CPU beside it, to be tried in this order}
PLATFORMS = {
    "cpu": ("cpu",),
    "gpu": ("cuda,cpu", "rocm,cpu"),
    "tpu": ("tpu,cpu",),
}
DEVICES = ("auto", *PLATFORMS)
CORE_LIMIT = "NPROC"  # the variable that limits XLA's threads on a CPU


def cores() -> int:
    """Cores that this process may use: those that the system gives it, at most `limit_cores`."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = os.environ.get(CORE_LIMIT, "")
    return min(here, int(limit)) if limit.isdecimal() and int(limit) else here


def limit_cores(count: int) -> None:
    """Let this process use so many cores, as one of several on a machine; before JAX starts.

    XLA reads the same variable for the number of its own threads.
    """
    os.environ[CORE_LIMIT] = str(count)


def cache_folder() -> Path:
    """`$XUMX_CACHE`, else `$XDG_CACHE_HOME/xumx_jax`, else `~/.cache/xumx_jax`.

    Where nobody knows the home folder, as in some containers, it is in the one for temporary files.
    """
    if chosen := os.environ.get("XUMX_CACHE"):
        return Path(os.path.expanduser(chosen))
    usual = Path(os.path.expanduser(os.environ.get("XDG_CACHE_HOME") or "~/.cache"))
    return (usual if usual.is_absolute() else Path(tempfile.gettempdir())) / "xumx_jax"


def fft_may_deadlock() -> bool:
    """Whether several FFTs at once on a CPU may deadlock."""
    found = tuple(int(part) for part in version("jaxlib").split(".")[:2])
    return found >= DEADLOCKING and ONE_POOL_THREAD not in os.environ.get("XLA_FLAGS", "")


def prevent_fft_deadlock() -> None:
    """Switch XLA's thread pool off where FFTs may deadlock; call it before JAX starts.

    Host threads make up for the pool.
    """
    if fft_may_deadlock():
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {ONE_POOL_THREAD}".strip()


def cache_compiled_code() -> None:
    """Let XLA keep compiled code between runs, unless the user has chosen a place or disabled it.

    Also prevents the deadlock of FFTs, which must be done at the same early moment.
    """
    import jax

    prevent_fft_deadlock()
    if (
        jax.config.jax_compilation_cache_dir is None  # pyright: ignore[reportAttributeAccessIssue]
        and "JAX_ENABLE_COMPILATION_CACHE" not in os.environ
    ):
        folder = cache_folder() / "compiled"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:  # JAX would give a warning of its own, with a line of its code
            LOG.warning(
                "%s: cannot be written (%s), so code is compiled in every run; "
                "XUMX_CACHE=FOLDER chooses another place",
                *(folder, error.strerror),
            )
            return
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def use_one_heap(keep_all: bool = False) -> None:
    """Let glibc serve all threads from one heap; call it before they start. A no-op elsewhere.

    By default each thread has its own heap and keeps freed memory in it, so a long track in blocks
    of many megabytes takes half as much memory again (bench/RESULTS.md). Blocks of many megabytes
    themselves go back to the system when they are freed, and fetching them again, page by page,
    takes a tenth of the time of a separation: they are kept. With `keep_all` those of more than
    1 GiB are as well, as training steps need them; what is separated after compiling then takes
    70 % more, since the compiler's pieces lie between them.
    """
    if sys.platform == "linux" and not {"MALLOC_ARENA_MAX", "GLIBC_TUNABLES"} & set(os.environ):
        import ctypes

        with suppress(OSError, AttributeError):  # another C library
            for option, value in (HEAP | (KEEP_ALL if keep_all else {})).items():
                ctypes.CDLL(None).mallopt(option, value)


def prepare(device: str) -> None:
    """What every program that computes does first: heap, caches, and `choose_device`."""
    use_one_heap()
    cache_compiled_code()
    choose_device(device)


def give_memory_back() -> None:
    """Return to the system what the heap keeps, as after compiling; a no-op elsewhere than glibc.

    Compiling a large network leaves some 400 MB behind it, in pieces that blocks do not fit into.
    """
    if sys.platform == "linux":
        import ctypes

        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)


def choose_device(device: str) -> None:
    """Make JAX compute on `device`; only `auto`, JAX's own choice, may fall back to the CPU.

    Raises UserError if there is no such device, or if JAX has already started on another.
    """
    if device not in DEVICES:
        raise UserError(f"unknown device {device!r}; known: {', '.join(DEVICES)}")
    if device == "auto":
        return
    import jax

    before, reasons = jax.config.jax_platforms, []  # pyright: ignore[reportAttributeAccessIssue]
    for platforms in PLATFORMS[device]:
        jax.config.update("jax_platforms", platforms)
        try:
            if jax.default_backend() == device:
                return
        except (RuntimeError, AssertionError) as error:
            reasons += str(error).splitlines()[:1]
    jax.config.update("jax_platforms", before)
    reason = f" ({'; '.join(reasons)})" if reasons else ""
    extra = (
        "" if device == "cpu" else ", or install JAX for it ('.[cuda12]', '.[cuda13]' or '.[tpu]')"
    )
    raise UserError(
        f"--device {device}: JAX finds no {device.upper()} here{reason}; use --device auto{extra}"
    )


def devices(device: str = "auto") -> tuple:
    """JAX's devices of one kind (of DEVICES) in this process; "auto" is JAX's own choice.

    "gpu:1" is one of them alone, counted from 0. Raises UserError if there are none.
    """
    import jax

    kind, colon, number = device.partition(":")
    if colon and kind in PLATFORMS:
        found = devices(kind)
        if not (number.isdecimal() and int(number) < len(found)):
            raise UserError(f"device {device!r}: wanted {kind}:0 to {kind}:{len(found) - 1}")
        return (found[int(number)],)
    if device not in DEVICES:
        raise UserError(f"unknown device {device!r}; known: {', '.join(DEVICES)}")
    if device == "auto":
        return tuple(jax.local_devices())
    reasons = []
    for backend in {"gpu": ("cuda", "rocm")}.get(device, (device,)):
        try:
            return tuple(jax.local_devices(backend=backend))
        except (RuntimeError, AssertionError) as error:
            reasons += str(error).splitlines()[:1]
    raise UserError(f"device {device!r}: JAX finds none here ({'; '.join(reasons)}); use auto")


_forked_after_start: list[bool] = []


def _look_after_fork() -> None:
    """Record, in a new child process, that JAX had started before the fork."""
    bridge = sys.modules.get("jax._src.xla_bridge")
    # not with a function of JAX, which may wait for a lock that a thread of the parent holds
    if getattr(bridge, "_backends", None):
        _forked_after_start.append(True)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_look_after_fork)


def check_not_forked() -> None:
    """Raise UserError in a process that was forked after JAX had started: it would hang."""
    if _forked_after_start:
        raise UserError(
            "this process was forked after JAX had started, so JAX would hang in it; start a new "
            'process (multiprocessing.get_context("spawn")), or fork before JAX is used'
        )


MOST = 4


def ahead(pool, function, items, most):
    """Like `pool.map`, but computes only a limited number of results in advance."""
    waiting = deque()
    for item in items:
        if len(waiting) == most:
            yield waiting.popleft().result()
        waiting.append(pool.submit(function, item))
    while waiting:
        yield waiting.popleft().result()


@contextmanager
def threads(count):
    """A pool of threads that drops what it has not begun if the caller is interrupted."""
    pool = ThreadPoolExecutor(count)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def host_threads(platform: str) -> int:
    """How many threads feed a device: several on a CPU if that is safe, otherwise one."""
    if platform != "cpu" or fft_may_deadlock():
        return 1
    return max(1, min(MOST, cores()))
