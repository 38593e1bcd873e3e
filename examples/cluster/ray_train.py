"""Train on a Ray cluster, one actor for each process:

    python examples/cluster/ray_train.py --processes 4 --gpus 8 --address HOST:6379 -- \\
        --config configs/xumx.py --config.data.root=MUSDB18-HQ

What follows `--` is for train.py. Every node has the repository in the same place, and the packages
of the extras train and cluster. When an actor or its node is lost, the others are ended, and as
many as the cluster then has room for start again from the last checkpoint: the largest number of
them that divides --processes. The workdir is on a disk that all nodes share, or
--config.train.store names an object store.
"""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import ray  # noqa: E402
from ray.util.placement_group import placement_group, remove_placement_group  # noqa: E402
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy  # noqa: E402

from xumx_jax.commands.console import Parser, run_program, say  # noqa: E402
from xumx_jax.commands.ray_connection import reach  # noqa: E402
from xumx_jax.errors import UserError  # noqa: E402
from xumx_jax.training.launch import LOST, free_port, largest_divisor, shares  # noqa: E402


def parser() -> argparse.ArgumentParser:
    made = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--processes", type=int, required=True, help="how many, if there is room")
    made.add_argument("--cpus", type=int, default=1, help="of each process (default: %(default)s)")
    made.add_argument("--gpus", type=int, default=0, help="of each process (default: %(default)s)")
    made.add_argument(
        "--address",
        default="local",
        help="HOST:PORT of a cluster, or auto (default: this machine alone)",
    )
    made.add_argument("--restarts", type=int, default=8, help="(default: %(default)s)")
    made.add_argument(
        "--room-seconds",
        type=float,
        default=60,
        help="how long to wait for room for so many before trying fewer (default: %(default)s)",
    )
    made.add_argument("arguments", nargs="*", help="of train.py, after --")
    return made


@ray.remote(max_restarts=0)
class Process:
    """One of the processes that train as one, in a worker of its own."""

    def place(self) -> tuple[str, int, int]:
        """Where it is: address, a port that is free there, its process number."""
        return ray.util.get_node_ip_address(), free_port(), os.getpid()

    def train(self, variables: dict[str, str], root: str, arguments: list[str]) -> int:
        """Run train.py -> its exit status."""
        os.environ.update(variables)
        os.chdir(root)
        sys.path.insert(0, root)
        from train import main

        return main(arguments)


def join(address: str, cpus: int) -> None:
    """Join a cluster, or make one of this machine. Raises UserError if nobody listens there."""
    quiet = {"include_dashboard": False, "log_to_driver": True}
    if address == "local":
        ray.init(num_cpus=cpus, _node_ip_address="127.0.0.1", **quiet)
        return
    reach(address)
    ray.init(address=address, log_to_driver=True)


def room_for(wanted: int, bundle: dict[str, int], seconds: float):
    """Reserve room for the largest number of processes that divides `wanted` -> (number, room)."""
    count = wanted
    while count:
        room = placement_group([bundle] * count, strategy="SPREAD")
        if room.wait(seconds):
            return count, room
        remove_placement_group(room)
        count = largest_divisor(wanted, count - 1) if count > 1 else 0
    raise UserError(f"the cluster has no room for one process of {bundle}")


def attempt(count: int, room, given: argparse.Namespace) -> int:
    """Train with so many processes -> 0, or the first other exit status; LOST if one died."""
    strategy = PlacementGroupSchedulingStrategy(room)
    needs = {"num_cpus": given.cpus, "num_gpus": given.gpus, "scheduling_strategy": strategy}
    processes = [Process.options(**needs).remote() for _ in range(count)]
    try:
        places = ray.get([process.place.remote() for process in processes])
        for number, (host, _, pid) in enumerate(places):
            print(f"process {number} of {count}: number {pid} on {host}", flush=True)
        variables = {
            "JAX_COORDINATOR_ADDRESS": f"{places[0][0]}:{places[0][1]}",
            "JAX_NUM_PROCESSES": str(count),
        }
        running = [
            process.train.remote(
                variables | {"JAX_PROCESS_ID": str(number)}, str(ROOT), given.arguments
            )
            for number, process in enumerate(processes)
        ]
        while running:
            done, running = ray.wait(running, num_returns=1)
            if status := ray.get(done[0]):
                return status
        return 0
    except ray.exceptions.RayActorError:
        return LOST
    finally:
        for process in processes:
            ray.kill(process)


def main(arguments: list[str]) -> int:
    given = parser().parse_args(arguments)
    if given.processes < 1 or given.restarts < 0:
        raise UserError("wanted --processes of 1 or more and --restarts of 0 or more")
    join(given.address, given.processes * given.cpus)
    bundle = {"CPU": given.cpus} | ({"GPU": given.gpus} if given.gpus else {})
    wanted, status = given.processes, LOST
    for again in range(given.restarts + 1):
        count, room = room_for(wanted, bundle, given.room_seconds)
        if count < given.processes:
            there = f"there is room for {count} of {given.processes} processes"
            say("note", there + shares(given.processes, count), "ray_train")
        status = attempt(count, room, given)
        remove_placement_group(room)
        if status != LOST:
            break
        say("warning", f"a process was lost (start {again + 1})", "ray_train")
    return status


if __name__ == "__main__":
    sys.exit(run_program(lambda: main(sys.argv[1:]), "ray_train"))
