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

DEVICES = ("JAX_LOCAL_DEVICE_IDS", "CUDA_VISIBLE_DEVICES")  # whoever sets these has chosen
GRACE_SECONDS = 10  # for the others, when one has failed: they cannot continue, but may say so


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m xumx_jax.training.launch", description=__doc__)
    parser.add_argument("--processes", type=int, required=True, metavar="N")
    parser.add_argument("--port", type=int, default=0, help="of process 0 (default: a free one)")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="script.py ...")
    given = parser.parse_args(arguments)
    if given.processes < 1 or not given.command:
        parser.error("wanted --processes of 1 or more, and a script")
    return launch(given.processes, [sys.executable, *given.command], given.port or free_port())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def launch(processes: int, command: list[str], port: int) -> int:
    """Run `command` in several processes; return 0, or the first exit status that was not 0.

    When one fails, the others are asked to stop: they would wait for it forever. SIGTERM and SIGINT
    are passed on to all.
    """
    common = {"JAX_COORDINATOR_ADDRESS": f"localhost:{port}", "JAX_NUM_PROCESSES": str(processes)}
    children = []
    for index in range(processes):
        own = common | {"JAX_PROCESS_ID": str(index)}
        if not any(name in os.environ for name in DEVICES):
            own["JAX_LOCAL_DEVICE_IDS"] = str(index)  # of its GPUs; else all would want all
        # in sessions of their own: a terminal's Ctrl-C reaches them once, from here
        child = subprocess.Popen(command, env=os.environ | own, start_new_session=True)
        children.append(child)

    def pass_on(number, _=None):
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(number)

    passed = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, pass_on) for number in passed}
    try:
        return wait(children)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def wait(children: list[subprocess.Popen]) -> int:
    """Wait for all processes; after a failure, end the others."""
    status, deadline = 0, None
    while running := [child for child in children if child.poll() is None]:
        failed = [child.returncode for child in children if child.returncode]
        if failed and deadline is None:
            status, deadline = failed[0], time.monotonic() + GRACE_SECONDS
            for child in running:
                child.terminate()
        if deadline is not None and time.monotonic() > deadline:
            for child in running:
                child.kill()
        time.sleep(0.05)
    if status == 0:
        status = next((child.returncode for child in children if child.returncode), 0)
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
