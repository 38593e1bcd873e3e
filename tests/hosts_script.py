"""One of several processes that train on the data of `runs`: python hosts_script.py WORKDIR [MODE].

Prints its losses; as a script, so that `python -m xumx_jax.training.launch` can start it.
"""

import os
import sys

os.environ["XLA_FLAGS"] = os.environ.get("DEVICES_FLAG", "")

import runs  # noqa: E402

from xumx_jax.training import distributed  # noqa: E402

distributed.connect()

import jax  # noqa: E402


def slices(count, index):
    def own(batch):
        share = len(batch[0]) // count
        return type(batch)(*(part[index * share : (index + 1) * share] for part in batch))

    return own


own = slices(jax.process_count(), jax.process_index())
data = runs.data(spoil=lambda batches: map(own, batches))
whole = data.valid
data = data._replace(valid=lambda: map(own, whole()))
config = runs.config(save_steps=1, keep=99)
if sys.argv[2:] == ["endless"]:
    config.train.update({"epochs": 10**6, "save_steps": None, "keep": 2})
if sys.argv[2:] == ["failing"] and jax.process_index() == 1:
    distributed.leave(7)
outcome = runs.run(config, sys.argv[1], data, print)
print("ended", jax.process_index(), jax.device_count(), outcome.signal, flush=True)
