"""Our side of `make bench-train`: the step that `train.py` compiles, with the same weights.

    python bench/train_jax.py FOLDER PRECISION [LSTM STEPS]

PRECISION is float32, tf32 (a GPU's way with float32 operands) or bfloat16; LSTM a key of
`lstm_paths.PATHS`; STEPS how many a run makes, 1 if left out.
"""

import sys
import time
from pathlib import Path

BEGIN = time.perf_counter()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import lstm_paths  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402
from worker import serve  # noqa: E402

from xumx_jax import losses  # noqa: E402
from xumx_jax.layers import dense  # noqa: E402
from xumx_jax.layers import lstm as recurrence  # noqa: E402
from xumx_jax.training import optimizer, state, step  # noqa: E402
from xumx_jax.training.batches import Examples  # noqa: E402
from xumx_jax.training.schedule import Plateau  # noqa: E402
from xumx_jax.weights.load import load_module  # noqa: E402

RATE, DECAY = 1e-3, 1e-5


def adapter(module, variables, stems, loss="multi_domain", augmentations=(), **options):
    """Compile the training step for one device: (step(state) -> (state, values), state, seconds).

    The one place that knows the signatures of `xumx_jax.training`.
    """
    adam = optimizer.build("adam", DECAY)
    this = step.Step(module, losses.build(loss, **options), adam, optax.constant_schedule(RATE))
    this = this._replace(augmentations=augmentations)
    over = step.mesh(jax.devices()[:1])
    # each its own: the state is donated, and no buffer can be given twice
    variables = jax.tree.map(jnp.asarray, dict(variables))
    params = variables.pop("params")
    now = state.State(
        step=jnp.zeros((), jnp.int32),
        params=params,
        collections=variables,
        counters={name: jnp.zeros((), jnp.int32) for name in ("skipped", "in_row")},
        opt_state=adam.init(params),
        plateau=Plateau(80, 0.3, 10).init(),
        average=None,
    )
    ones = np.ones(stems.shape[:2], np.float32)
    batch = Examples(np.ascontiguousarray(stems.swapaxes(2, 3)), ones, ones < 0)
    now, batch = step.replicate(now, over), step.shard(batch, over)
    advance = step.train_step(this, over)
    begin = time.perf_counter()
    compiled = advance.lower(now, batch).compile()
    return lambda now: compiled(now, batch), now, time.perf_counter() - begin


def build(folder: Path, precision: str, path: str):
    """Read the weights as a user would and compile; see `adapter`."""
    recurrence.lstm = lstm_paths.PATHS[path]
    if precision == "tf32":
        dense.PRECISION = jax.lax.Precision.DEFAULT
    dtype = "bfloat16" if precision == "bfloat16" else "float32"
    module, variables, _ = load_module(folder / "weights.pth")
    module = module.clone(axis_name=step.AXIS, dtype=dtype)
    return adapter(module, variables, np.load(folder / "stems.npy"))


def device_mib() -> float:
    """The most memory held on the device, in MiB; 0 if the device does not count it."""
    return ((jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0)) / 2**20


def main(folder: Path, precision: str, path: str = "loop", steps: str = "1") -> None:
    imported = time.perf_counter() - BEGIN
    advance, now, compiled = build(folder, precision, path)

    def run():
        nonlocal now
        for _ in range(int(steps)):
            now, values = advance(now)
        jax.block_until_ready(now)
        return np.asarray(values["loss"])

    loaded = time.perf_counter() - BEGIN - compiled
    facts = {"imported": imported, "loaded": loaded, "compiled": compiled}
    serve(run, device_mib=device_mib, **facts, version=jax.__version__)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
