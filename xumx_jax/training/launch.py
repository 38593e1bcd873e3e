"""Start several processes of one program on this machine, joined into one JAX program.

    python -m xumx_jax.training.launch --processes 2 train.py --config configs/xumx.py ...

For machines with several GPUs that work better with one process each, and to try out on one machine
what will run on many. On a cluster, let its own launcher start `train.py --distributed` instead.
"""

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from typing import NamedTuple

DEVICES = ("JAX_LOCAL_DEVICE_IDS", "CUDA_VISIBLE_DEVICES")  # whoever sets these has chosen
TOGETHER_SECONDS = 1  # in which those that fail for the same reason do
GRACE_SECONDS = 10  # for the others, when one has failed: they cannot continue, but may say so
LOST = 75  # exit status of a process that lost others: EX_TEMPFAIL of sysexits.h, "try again"


class Ended(NamedTuple):
    """How processes ended.

    status  0, or the first exit status that was not 0, as a shell counts: 128 and the signal
    lost    which of the processes a signal ended that was not sent from here
    stuck   whether the first that failed did so because it waited in vain for others
    """

    status: int
    lost: tuple[int, ...] = ()
    stuck: bool = False


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m xumx_jax.training.launch", description=__doc__)
    made.add_argument("--processes", type=int, required=True, metavar="N", help="how many")
    made.add_argument("--port", type=int, default=0, help="of process 0 (default: a free one)")
    made.add_argument(
        "--restarts",
        type=int,
        default=0,
        metavar="N",
        help="start again so many times when a process was lost, with those that are left: the "
        "largest number of them that divides --processes, as the batch has to",
    )
    made.add_argument(
        "command", nargs=argparse.REMAINDER, metavar="script.py ...", help="and its options"
    )
    return made


def main(arguments: list[str] | None = None) -> int:
    made = parser()
    given = made.parse_args(arguments)
    if given.processes < 1 or given.restarts < 0 or not given.command:
        made.error("wanted --processes of 1 or more, --restarts of 0 or more, and a script")
    command = [sys.executable, *given.command]
    left = list(range(given.processes))
    for again in range(given.restarts, -1, -1):
        count = largest_divisor(given.processes, len(left))
        ended = launch(left[:count], command, given.port or free_port())
        left = [slot for slot in left if slot not in ended.lost]
        if not again or not left or not (ended.lost or ended.stuck):
            break
        count = largest_divisor(given.processes, len(left))
        what = f"{len(ended.lost)} lost" if ended.lost else "stuck"
        line = f"launch: {what}, {len(left)} left; starting again with {count}"
        print(line + shares(given.processes, count), file=sys.stderr)
    return ended.status


def largest_divisor(number: int, limit: int) -> int:
    return max(part for part in range(1, limit + 1) if number % part == 0)


def shares(wanted: int, count: int) -> str:
    """What fewer processes mean for each, for the end of a line; nothing if they are not fewer."""
    return f", each with {wanted // count} times its share of the batch" if count < wanted else ""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def launch(slots: list[int], command: list[str], port: int) -> Ended:
    """Run `command` in a process for each slot, which is the number of a device it may have.

    When one fails, the others are asked to stop: they would wait for it forever. SIGTERM and SIGINT
    are passed on to all.
    """
    common = {"JAX_COORDINATOR_ADDRESS": f"localhost:{port}", "JAX_NUM_PROCESSES": str(len(slots))}
    children, asked = [], []
    for index, slot in enumerate(slots):
        own = common | {"JAX_PROCESS_ID": str(index)}
        if not any(name in os.environ for name in DEVICES):
            own["JAX_LOCAL_DEVICE_IDS"] = str(slot)  # of its GPUs; else all would want all
        # in sessions of their own: a terminal's Ctrl-C reaches them once, from here
        child = subprocess.Popen(command, env=os.environ | own, start_new_session=True)
        children.append(child)

    def pass_on(number, _=None):
        asked.append(number)
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(number)

    passed = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, pass_on) for number in passed}
    try:
        ended = wait(children)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if asked:  # to stop, and not to start again
        return Ended(ended.status)
    return ended._replace(lost=tuple(slots[index] for index in ended.lost))


def wait(children: list[subprocess.Popen]) -> Ended:
    """Wait for all processes; after a failure, end the others."""
    ended, deadline = Ended(0), None
    while running := [child for child in children if child.poll() is None]:
        if deadline is None and any(child.returncode for child in children):
            time.sleep(TOGETHER_SECONDS)
            ended, deadline = ended_so_far(children), time.monotonic() + GRACE_SECONDS
            for child in running:
                child.terminate()
        if deadline is not None and time.monotonic() > deadline:
            for child in running:
                child.kill()
        time.sleep(0.05)
    return ended_so_far(children) if deadline is None else ended


def ended_so_far(children: list[subprocess.Popen]) -> Ended:
    """Which of the processes failed, and which were lost; none of them was ended from here.

    Those that say that they lost another one, or that JAX aborted since it heard of none, did not
    fail first. Where nothing else explains it, the first that was aborted counts as lost.
    """
    statuses = {number: child.poll() for number, child in enumerate(children)}
    failed = [status for status in statuses.values() if status]
    if not failed:
        return Ended(0)
    abort = -signal.SIGABRT
    first = min(failed, key=lambda status: (status == LOST, status == abort))
    killed = [number for number, status in statuses.items() if status and status < 0]
    lost = [number for number in killed if statuses[number] != abort] or killed[:1]
    if first > 0 and first != LOST:
        return Ended(first)  # an error that would come again
    return Ended(first if first > 0 else 128 - first, tuple(lost), not lost)


if __name__ == "__main__":
    sys.exit(main())
