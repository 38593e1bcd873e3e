"""A Ray cluster of several "machines" in one: a script, which its tests start, that kills some.

python tests/ray_cluster.py PLAN.json, with these keys:

command   what to run; "{address}" in it becomes the cluster's
machines  how many, of one core each
out       where its stems appear
runs      for each time that the command is run: [[after how many files, what to kill]], with
          "machine", "worker" or "driver", which is the command itself

and perhaps:

refused   commands to run before, each for a few seconds; "{hidden}" in one becomes a name of
          the folder `hidden` that only this command knows
config    of Ray, beside its own; without it dead machines are noticed sooner than usual

The last line that is printed is JSON: "runs" has for each when it began, status, seconds, what was
killed and when, the lines, and the peak of each worker's memory in MiB; "refused" status and lines.

The script moves into a network namespace of its own where it may, so that Ray, which looks for this
machine's address, finds nothing but loopback.
"""

import json
import logging
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

ALONE = "XUMX_TESTS_ALONE"
# Nothing is reported, and no token is kept in the user's folder.
VARIABLES = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
# Dead machines are noticed within seconds rather than half a minute.
CONFIG = {"health_check_period_ms": 500, "health_check_failure_threshold": 4}
CONFIG |= {"health_check_initial_delay_ms": 500, "health_check_timeout_ms": 1000}


def start(plan: Path, seconds: float) -> dict[str, list[dict]]:
    """Run the script on a plan -> its results; after some seconds all that it started is killed."""
    variables = {**os.environ, "PYTHONWARNINGS": "ignore", **VARIABLES}
    command = [sys.executable, __file__, str(plan)]
    process = subprocess.Popen(
        command, env=variables, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        out, _ = process.communicate(timeout=seconds)
    finally:
        end(process)
    return json.loads(out.splitlines()[-1])


def end(process: subprocess.Popen) -> None:
    """Kill a process that leads a session, and all of that session: Ray's live on otherwise."""
    session = process.pid
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session:
                os.kill(int(place.parent.name), signal.SIGKILL)
        except (OSError, ValueError, IndexError):
            continue
    process.wait()


def alone() -> None:
    """Start this script again in a network namespace of its own, where that is allowed."""
    if ALONE in os.environ:
        if os.environ[ALONE] == "1":
            _loopback_up()
        return
    for command in (["unshare", "-n"], ["unshare", "-rn"]):
        if shutil.which("unshare") and not subprocess.run([*command, "true"], stderr=-3).returncode:
            os.environ[ALONE] = "1"
            os.execvp(command[0], [*command, sys.executable, *sys.argv])
    os.environ[ALONE] = "0"


def _loopback_up() -> None:
    import fcntl

    set_flags, up_running = 0x8914, 0x41  # SIOCSIFFLAGS, IFF_UP | IFF_RUNNING
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, set_flags, struct.pack("16sh14x", b"lo", up_running))


def workers_of(node) -> list[int]:
    """The processes that hold a model on one of the machines: children of its raylet."""
    raylet = node.all_processes["raylet"][0].process.pid
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(place.read_text().rpartition(")")[2].split()[1])
            title = (place.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if parent == raylet and b"_Actor" in title:
            found.append(int(place.parent.name))
    return found


def main(plan: dict) -> dict[str, list[dict]]:
    """Run the commands on a cluster, killing what the plan says -> what became of them."""
    from ray.cluster_utils import Cluster

    logging.disable(logging.WARNING)
    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": 80 << 20}
    head["_system_config"] = plan.get("config", CONFIG)
    cluster = Cluster(initialize_head=True, head_node_args=head)
    machine = {"num_cpus": 1, "object_store_memory": 80 << 20}
    nodes = [cluster.add_node(**machine) for _ in range(plan["machines"])]
    refused = [briefly(command, plan["hidden"], cluster) for command in plan.get("refused", [])]
    found = [run(plan, cluster, nodes, list(kills)) for kills in plan["runs"]]
    cluster.shutdown()
    return {"runs": found, "refused": refused}


def briefly(words: list[str], hidden: str, cluster) -> dict:
    """Run a command that is to end at once."""
    own = os.open(hidden, os.O_RDONLY)
    places = {"{address}": cluster.address, "{hidden}": f"/proc/self/fd/{own}"}
    for name, value in places.items():
        words = [word.replace(name, value) for word in words]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=60, pass_fds=[own])
    os.close(own)
    return {"status": ran.returncode, "lines": ran.stderr.splitlines()}


def run(plan: dict, cluster, nodes: list, kills: list) -> dict:
    """Run the command once."""
    begin, out, killed, peaks = time.time(), Path(plan["out"]), [], {}
    command = [part.replace("{address}", cluster.address) for part in plan["command"]]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said: list[str] = []
    reader = threading.Thread(target=lambda: said.extend(process.stdout))
    reader.start()
    while process.poll() is None:
        time.sleep(0.05)
        workers = [workers_of(node) for node in nodes]
        peaks |= {worker: peak_mib(worker) for worker in sum(workers, []) if peak_mib(worker)}
        done = len(list(out.rglob(".separation.json")))
        if not (kills and done >= kills[0][0] and all(workers)):
            continue
        what = kills.pop(0)[1]
        if what == "machine":
            cluster.remove_node(nodes.pop(), allow_graceful=False)
        elif what == "worker":
            os.kill(workers[0][0], signal.SIGKILL)
        else:
            process.kill()
        killed.append({"what": what, "done": done, "after": time.time() - begin})
    reader.join()
    found = {"status": process.returncode, "began": begin, "seconds": time.time() - begin}
    lines = [line.rstrip("\n") for line in said]
    return {**found, "killed": killed, "lines": lines, "peaks_mib": list(peaks.values())}


def peak_mib(number: int) -> float:
    """The most memory that a process ever held; 0 if it has gone."""
    try:
        lines = Path(f"/proc/{number}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


if __name__ == "__main__":
    alone()
    print(json.dumps(main(json.loads(Path(sys.argv[1]).read_text()))), flush=True)
