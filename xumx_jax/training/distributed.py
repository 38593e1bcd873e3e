"""Several processes that train as one: joining them, sharing what one has read, stopping together.

Everything also works, at no cost, in a single process.
"""

import json
import os
import signal
import sys
from typing import Any, NoReturn

import jax
import numpy as np
from jax.experimental import multihost_utils

from xumx_jax.errors import UserError

VARIABLES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")


def connect(detect: bool = False) -> None:
    """Join the other processes, before JAX does anything else.

    If the three VARIABLES are set, as `python -m xumx_jax.training.launch` does, they number the
    processes; with `detect`, JAX asks the cluster (SLURM, Open MPI, Kubernetes, TPU pods).
    """
    given = [os.environ[name] for name in VARIABLES if os.environ.get(name)]
    if not given and not detect:
        return
    if 0 < len(given) < len(VARIABLES):
        raise UserError(f"{', '.join(VARIABLES)}: set all of them or none")
    try:
        if given:
            jax.distributed.initialize(given[0], int(given[1]), int(given[2]))
        else:
            jax.distributed.initialize()
    except (ValueError, RuntimeError) as error:
        raise UserError(
            f"cannot join the other processes: {' '.join(str(error).split())}"
        ) from error
    # The first exchange sets up the connections and, on CPUs, gives up after 30 s: so it is made
    # now, before one process has more to read than the others. Later ones wait as long as it takes.
    share(np.int32(0))


def first() -> bool:
    """Return whether this is the process that prints and writes."""
    return jax.process_index() == 0


def leave(status: int) -> NoReturn:
    """End this process; after a failure without JAX's shutdown, which would wait for the others."""
    if status and jax.process_count() > 1:
        sys.stdout.flush()
        sys.stderr.flush()
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


class Preemption:
    """Catches SIGTERM and SIGINT while it is entered; `asked(step)` returns whether to stop.

    Several processes agree on the step, whichever of them got the signal. A second Ctrl-C
    interrupts at once.
    """

    def __init__(self):
        self.signal, self.passed_on, self.before = None, False, {}

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
        if jax.process_count() == 1:
            return self.signal is not None
        if self.signal is not None and not self.passed_on:
            os.kill(os.getpid(), signal.SIGTERM)  # tell the others the way they understand
            self.passed_on = True
        return multihost_utils.reached_preemption_sync_point(step)
