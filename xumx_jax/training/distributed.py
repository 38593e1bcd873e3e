"""Several processes that train as one: joining them, sharing what one has read, stopping together.

Everything also works, at no cost, in a single process.

When one of them is lost, the others cannot go on: each ends, so that whoever started them can start
again with those that are left. If its connections close, as on CPUs when it is killed, the next
exchange may fail at once: ProcessLost, and status LOST. It may also wait for ever, if only one of
several local devices notices. Then JAX's heartbeat finds it out, and aborts the process (SIGABRT),
which `lost_process` puts into one line; where all hearts beat but a process gets nowhere,
`Watchdog` ends it.
"""

import json
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import jax
import numpy as np
from jax.experimental import multihost_utils

from xumx_jax.errors import UserError
from xumx_jax.training import lost_process
from xumx_jax.training.launch import LOST

VARIABLES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
AGAIN = "start again, with those that are left, to go on from the last checkpoint"


class ProcessLost(UserError):
    """Another process has gone, or answers no more: start again, from the last checkpoint."""

    status = LOST


_helpers: list[lost_process.Helper] = []  # of this process, at most one


def connect(detect: bool = False, heartbeat_seconds: int = 30, reports: Path | None = None) -> None:
    """Join the other processes, before JAX does anything else.

    If the three VARIABLES are set, as `python -m xumx_jax.training.launch` does, they number the
    processes; with `detect`, JAX asks the cluster (SLURM, Open MPI, Kubernetes, TPU pods). A
    process that the others do not hear of for `heartbeat_seconds` counts as lost. What JAX then
    writes goes to a file in the folder `reports`; None: to stderr.
    """
    given = [os.environ[name] for name in VARIABLES if os.environ.get(name)]
    if not given and not detect:
        return
    if 0 < len(given) < len(VARIABLES):
        raise UserError(f"{', '.join(VARIABLES)}: set all of them or none")
    if reports is not None and os.name == "posix":
        report = reports / f"lost-process.{platform.node()}.{os.getpid()}.log"
        _helpers.append(lost_process.Helper(report, heartbeat_seconds, AGAIN))
    try:
        address, count, index = (given[0], *map(int, given[1:])) if given else (None, None, None)
        jax.distributed.initialize(
            address, count, index, heartbeat_timeout_seconds=heartbeat_seconds
        )
    except (ValueError, RuntimeError) as error:
        raise UserError(
            f"cannot join the other processes: {' '.join(str(error).split())}"
        ) from error
    # The first exchange sets up the connections and, on CPUs, gives up after 30 s: so it is made
    # now, before one process has more to read than the others. Later ones wait as long as it takes.
    with losses_reported():
        share(np.int32(0))


@contextmanager
def losses_reported() -> Iterator[None]:
    """Raise ProcessLost where an exchange between processes fails within this context."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        reason = " ".join(str(error).split())
        if jax.process_count() == 1 or reason.startswith("RESOURCE_EXHAUSTED"):
            raise
        raise ProcessLost(f"lost another process ({reason[:150]}); {AGAIN}") from error


def first() -> bool:
    """Return whether this is the process that prints and writes."""
    return jax.process_index() == 0


def leave(status: int) -> NoReturn:
    """End this process; after a failure without JAX's shutdown, which would wait for the others."""
    if status and jax.process_count() > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        for helper in _helpers:
            helper.end()
        os._exit(status)
    sys.exit(status)


def share(tree: Any) -> Any:
    """Give every process the first one's pytree of arrays; others pass one with equal shapes."""
    if jax.process_count() == 1:
        return tree
    return jax.tree.map(np.asarray, multihost_utils.broadcast_one_to_all(tree))


def share_json(value: Any) -> Any:
    """Give every process the first one's JSON-able value; what the others pass is ignored."""
    if jax.process_count() == 1:
        return value
    text = json.dumps(value).encode() if first() else b""
    length = int(share(np.int32(len(text))))
    letters = np.frombuffer(text.ljust(length), np.uint8)[:length]
    return json.loads(share(letters).tobytes())


def agree(digest: str, what: str) -> None:
    """Raise UserError in every process unless all pass the same hexadecimal digest."""
    if jax.process_count() == 1:
        return
    ours = np.frombuffer(bytes.fromhex(digest)[:8], np.uint8)
    everyones = multihost_utils.process_allgather(ours)
    if (everyones != everyones[0]).any():
        raise UserError(f"the processes do not see the same {what}")


class Watchdog:
    """Ends this process, if it is one of several, once nothing has happened for `seconds`.

    While it is entered, that is: `moved()` says that something has. A process that waits for
    another, in an exchange that never ends, cannot be ended otherwise.
    """

    def __init__(self, seconds: float):
        self.seconds, self.mark, self.over = seconds, time.monotonic(), threading.Event()

    def __enter__(self):
        if jax.process_count() > 1 and self.seconds > 0:
            self.moved()
            threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.over.set()

    def moved(self) -> None:
        self.mark = time.monotonic()

    def _watch(self) -> None:
        while not self.over.wait(min(1.0, self.seconds / 4)):
            if time.monotonic() - self.mark > self.seconds:
                line = f"no step for {self.seconds:g} s, another process may be stuck; {AGAIN}"
                print(f"train: error: {line}", file=sys.stderr)
                leave(LOST)


class Preemption:
    """Catches SIGTERM and SIGINT while it is entered; `asked(step)` returns whether to stop.

    Several processes agree on the step, whichever of them got the signal. A second Ctrl-C
    interrupts at once. `watchdog` is told of every call.
    """

    def __init__(self, watchdog: Watchdog):
        self.signal, self.passed_on, self.before = None, False, {}
        self.watchdog = watchdog

    def __enter__(self):
        wanted = [signal.SIGINT]
        if jax.process_count() == 1:
            wanted.append(signal.SIGTERM)  # else JAX's preemption service listens for it
        try:
            self.before = {number: signal.signal(number, self._note) for number in wanted}
        except ValueError:  # only the main thread may listen
            self.before = {}
        return self

    def _note(self, number, _):
        if self.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = number

    def __exit__(self, *_):
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def asked(self, step: int) -> bool:
        """Whether to stop; every process calls this once before every step, with that step."""
        self.watchdog.moved()
        if jax.process_count() == 1:
            return self.signal is not None
        if self.signal is not None and not self.passed_on:
            os.kill(os.getpid(), signal.SIGTERM)  # tell the others the way they understand
            self.passed_on = True
        return multihost_utils.reached_preemption_sync_point(step)

    def asked_alone(self) -> bool:
        """Whether to stop at once, which a single process can do anywhere."""
        self.watchdog.moved()
        return jax.process_count() == 1 and self.signal is not None
