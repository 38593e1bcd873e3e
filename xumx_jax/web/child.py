"""The child process that runs `decoder`: started, read frame by frame, and ended in any case."""

import json
import logging
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from xumx_jax.web.decoder import (
    BLOCK,
    BLOCK_SAMPLES,
    COVER,
    END,
    ERROR,
    HEADER,
    MOST_COVER,
    WARNING,
)

LOG = logging.getLogger(__name__)
MOST_CHANNELS = 64
_MOST_BYTES = {
    HEADER: 1 << 23,
    COVER: MOST_COVER,
    BLOCK: BLOCK_SAMPLES * MOST_CHANNELS * 4,
    WARNING: 1 << 12,
    END: 0,
    ERROR: 1 << 12,
}
PROGRAM = ("-m", "xumx_jax.web.decoder")
# What the loader of libraries needs on some systems, and Windows for anything.
PASSED_ON = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME", "SYSTEMROOT")
_unlimited_told = False


class Late(Exception):
    """The child took too long and was ended."""


class Broken(Exception):
    """The child ended before it had sent everything, or sent what it should not."""


class Child:
    """A decoder of an open file.

    file            an open file, which the child gets as its stdin
    settings        of `decoder`
    wait_seconds    that may be spent in `frame` altogether
    silent_seconds  that one call of it may take
    """

    def __init__(self, file, settings: dict, wait_seconds: float, silent_seconds: float):
        _tell_if_unlimited()
        self._left, self._silent = wait_seconds, silent_seconds
        self._late = False
        self._ending = threading.Lock()
        words = [sys.executable, "-B", "-P", *PROGRAM, json.dumps(settings)]
        self._process = subprocess.Popen(
            words,
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=os.path.abspath(os.sep),
            env=_environment(),
            start_new_session=True,
        )
        self.pid = self._process.pid

    def frame(self) -> tuple[int, bytearray]:
        """The next (kind, content), of a size that its kind may have. Raises Late or Broken."""
        begin = time.monotonic()
        timer = threading.Timer(min(self._left, self._silent), self._out_of_time)
        timer.daemon = True
        timer.start()
        try:
            kind, size = struct.unpack("<BI", self._read(5))
            if size > _MOST_BYTES.get(kind, -1):
                raise Broken(f"it sent {size} bytes of kind {kind}")
            return kind, self._read(size)
        finally:
            timer.cancel()
            self._left = max(0.0, self._left - (time.monotonic() - begin))

    def _read(self, size) -> bytearray:
        data = bytearray(size)
        got = self._process.stdout.readinto(data)  # pyright: ignore
        if got == size:
            return data
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        status = self._process.returncode
        if self._late or (status is not None and status == -getattr(signal, "SIGXCPU", 0)):
            raise Late
        raise Broken(f"it ended with status {status}")

    def _out_of_time(self):
        self._late = True
        self._kill()

    def _kill(self):
        with self._ending:
            if self._process.poll() is None:
                if hasattr(os, "killpg"):
                    with suppress(ProcessLookupError, PermissionError):
                        os.killpg(self.pid, signal.SIGKILL)
                self._process.kill()

    def close(self):
        """End the child and what it may have started, and reap it."""
        self._kill()
        self._process.stdout.close()  # pyright: ignore
        self._process.wait()


def _environment() -> dict[str, str]:
    """Nothing but what Python needs to find the same modules as this process."""
    package = find_spec("xumx_jax")
    assert package is not None and package.origin is not None
    places = [str(Path(package.origin).parents[1]), *filter(os.path.isabs, sys.path)]
    environment = {
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(places)),
        "PYTHONUTF8": "1",
        # each thread takes address space, and a decoder is one
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "1",
    }
    return environment | {name: os.environ[name] for name in PASSED_ON if name in os.environ}


def _tell_if_unlimited():
    global _unlimited_told
    if not _unlimited_told and find_spec("resource") is None:
        _unlimited_told = True
        LOG.warning("this system sets no limits to the memory and time of decoders")
