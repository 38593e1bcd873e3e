"""Our side of `networks`: one chunk, or one training step, with our program's settings.

python bench/networks_jax.py FOLDER ROW TASK
"""

import sys
import time
from pathlib import Path

from xumx_jax.runtime import cache_compiled_code, use_one_heap

use_one_heap(keep_all=sys.argv[3] == "train")  # as `train.py`; before there are threads

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from worker import serve  # noqa: E402

from xumx_jax.weights.load import load_module  # noqa: E402


def waveform(row: str, module):
    """(variables, mix, train) -> [batch, source, channel, time]."""
    if row == "demucs_split":  # as in AIMLESS, without what does not fill its last windows
        return lambda variables, mix, train: module.apply(variables, mix, method="separate")
    return lambda variables, mix, train: module.apply(variables, mix, train).wave


def norm_of(gradients):
    """The norm of all but the biases, of which PyTorch's LSTMs have two for one of ours."""
    squares = [
        jnp.vdot(leaf, leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(gradients)
        if not any(part in path[-1].key for part in ("bias", "shift"))
    ]
    return jnp.sqrt(sum(squares))


def gemm_rate() -> float:
    """Billions of operations per CPU second of a large matrix product."""
    rows, size = 4096, 1536
    left, right = jnp.ones((rows, size)), jnp.ones((size, size))
    product = jax.jit(jnp.matmul)
    seconds = []
    for _ in range(6):
        begin = time.process_time()
        product(left, right).block_until_ready()
        seconds.append(time.process_time() - begin)
    return 2 * rows * size**2 / min(seconds[1:]) / 1e9


def main(folder: Path, row: str, task: str) -> None:
    cache_compiled_code()
    module, variables, _ = load_module(folder / "weights.safetensors")
    variables = jax.tree.map(jnp.asarray, variables)
    separate = waveform(row, module)
    mix = np.load(folder / "mix.npy")

    def infer(variables, mix):
        return separate(variables, mix, False)

    def train(variables, mix):
        """As in `networks_torch.py`; a training step needs the gradients, so they are results."""

        def loss(params):
            return jnp.square(separate({**variables, "params": params}, mix, True)).mean()

        value, gradients = jax.value_and_grad(loss)(variables["params"])
        return jnp.stack([value, norm_of(gradients)]), gradients

    begin = time.perf_counter()
    compiled = jax.jit({"infer": infer, "train": train}[task]).lower(variables, mix).compile()
    seconds = time.perf_counter() - begin

    def run():
        result = jax.block_until_ready(compiled(variables, mix))
        return np.asarray(result[0] if task == "train" else result)

    serve(run, compiled=seconds, version=jax.__version__, gemm=gemm_rate())


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
