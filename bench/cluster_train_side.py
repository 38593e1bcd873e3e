"""One of the processes of `cluster_train.py`: steps of X-UMX, timed, and exchanges alone.

python cluster_train_side.py HIDDEN BATCH SECONDS STEPS
"""

import json
import os
import sys
import time
from functools import partial

from xumx_jax.runtime import cache_compiled_code, use_one_heap

use_one_heap(keep_all=True)  # as `train.py`; before there are threads
OWN = int(os.environ["JAX_PROCESS_ID"])
CORES = sorted(os.sched_getaffinity(0))
os.sched_setaffinity(0, {CORES[OWN % len(CORES)]})  # one of its own, however many devices

from xumx_jax.training import distributed  # noqa: E402

distributed.connect()

import jax  # noqa: E402
import numpy as np  # noqa: E402
from jax.experimental import multihost_utils  # noqa: E402
from jax.sharding import PartitionSpec as P  # noqa: E402

from xumx_jax import losses, models  # noqa: E402
from xumx_jax.models.interface import example_mix  # noqa: E402
from xumx_jax.training import optimizer, state, step  # noqa: E402
from xumx_jax.training.batches import Examples  # noqa: E402
from xumx_jax.training.schedule import Plateau  # noqa: E402


def examples(rows: int, samples: int, number: int) -> Examples:
    """This process's rows of a batch of noise, which is the same for any number of processes."""
    stems = np.random.default_rng(number).normal(0, 1000, (rows, 4, samples, 2)).astype(np.int16)
    share = rows // jax.process_count()
    own = slice(OWN * share, (OWN + 1) * share)
    ones = np.ones((rows, 4), np.float32)
    return Examples(stems[own], ones[own], ones[own] < 0)


def timed(task, times: int) -> tuple[float, float, list]:
    """Median seconds and CPU seconds, those of all processes together, and the results."""
    seconds, worked, results = [], [], []
    for _ in range(times):
        multihost_utils.sync_global_devices("begin")
        begin, before = time.perf_counter(), time.process_time()
        results.append(jax.block_until_ready(task()))
        seconds.append(time.perf_counter() - begin)
        worked.append(time.process_time() - before)
    everyones = multihost_utils.process_allgather(np.array([seconds, worked])).reshape(-1, 2, times)
    return (
        float(np.median(everyones[:, 0].max(0))),
        float(np.median(everyones[:, 1].sum(0))),
        results,
    )


def exchange(over, size: int):
    """A function that sums arrays of so many numbers over all devices."""
    summed = jax.shard_map(
        lambda x: jax.lax.psum(x, step.AXIS), mesh=over, in_specs=P(step.AXIS), out_specs=P()
    )
    local = np.ones((jax.local_device_count(), size), np.float32)
    return partial(jax.jit(summed), step.shard(local, over))


def main(hidden: int, batch: int, music: float, steps: int) -> None:
    cache_compiled_code()
    model = models.build("xumx", hidden_size=hidden, axis_name=step.AXIS)
    adam = optimizer.build("adam_nnabla", 1e-5)
    this = step.Step(model, losses.build("multi_domain"), adam, lambda done: 1e-3)
    over, plateau = step.mesh(), Plateau(None, 0.3, 10).init()
    start = partial(state.init, model, adam, mix=example_mix(model), plateau=plateau, average=False)
    now = step.replicate(jax.device_get(jax.jit(start)(jax.random.key(0))), over)
    samples, count = model.segment.fit(round(music * model.sample_rate)), 0
    batches = [step.shard(examples(batch, samples, n), over) for n in range(steps + 1)]
    compiled = step.train_step(this, over).lower(now, batches[0]).compile()

    def advance():
        nonlocal now, count
        now, values = compiled(now, batches[count])
        count += 1
        return values["loss"]

    first = float(advance())  # what is paged in and connected for the first time
    seconds, worked, rest = timed(advance, steps)
    numbers = sum(leaf.size for leaf in jax.tree.leaves(now.params))
    alone, message = exchange(over, numbers), exchange(over, 1)
    for task in (alone, message):
        jax.block_until_ready(task())
    text, large, small = compiled.as_text(), timed(alone, 7), timed(message, 21)
    facts = {
        "seconds": seconds,
        "cpu_seconds": worked,
        "losses": [first, *map(float, rest)],
        "gradient_bytes": 4 * numbers,
        "all_reduces": text.count(" all-reduce(") + text.count(" all-reduce-start("),
        "exchange_seconds": large[0],
        "exchange_cpu_seconds": large[1],
        "message_seconds": small[0],
        "message_cpu_seconds": small[1],
    }
    if distributed.first():
        print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
