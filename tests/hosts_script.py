"""One of several processes that train on the data of `runs`: python hosts_script.py WORKDIR [MODE].

Prints its losses; as a script, so that `python -m xumx_jax.training.launch` can start it. In a mode
named after a loss, a process of the first start kills itself.
"""

import os
import signal
import sys

MODE = (sys.argv[2:] or [""])[0]
FIRST_START = os.environ["JAX_NUM_PROCESSES"] != "1"
OWN = int(os.environ["JAX_PROCESS_ID"])


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


if MODE == "lost at start" and FIRST_START and OWN == 1:
    die()

os.environ["XLA_FLAGS"] = os.environ.get("DEVICES_FLAG", "")

import runs  # noqa: E402

from xumx_jax import files  # noqa: E402
from xumx_jax.training import distributed  # noqa: E402


def main() -> int:
    distributed.connect()
    import jax

    if MODE == "failing" and OWN == 1:
        return 7
    data = runs.data(spoil=own_batches)
    whole = data.valid
    data = data._replace(valid=lambda: own_batches(whole()))
    config = (
        runs.without_batch_norm() if MODE.startswith("lost") else runs.config(save_steps=1, keep=99)
    )
    if MODE == "endless":
        config.train.update({"epochs": 10**6, "save_steps": None, "keep": 2})
    if MODE == "lost in a save" and FIRST_START and OWN == 0:
        digest = files.digest
        files.digest = lambda path: die() if "00000004" in str(path) else digest(path)
    with distributed.losses_reported():
        outcome = runs.run(config, sys.argv[1], data, print)
    print("ended", jax.process_index(), jax.device_count(), outcome.signal, flush=True)
    return 0


def own_batches(batches):
    """This process's slices, until the mode says that something happens."""
    import jax

    for number, batch in enumerate(batches):
        if number == 7 and FIRST_START and OWN == 1 and MODE == "lost in a step":
            die()
        share = len(batch[0]) // jax.process_count()
        yield type(batch)(*(part[OWN * share : (OWN + 1) * share] for part in batch))


if __name__ == "__main__":
    from xumx_jax.commands.console import run_program

    distributed.leave(run_program(main, "train"))
