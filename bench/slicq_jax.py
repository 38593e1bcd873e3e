"""Our side of `make bench-slicq`: a transform, a network, a training step, or a long track.

    python bench/slicq_jax.py FOLDER TASK HEAP [MINUTES]

TASK is a row of the benchmark, or "v2_windows", which is v2 with the windows of the original's
filter. HEAP is "kept" or "plain": with our program's settings of the heap, or without.
"""

import json
import sys
import time
from pathlib import Path

from xumx_jax.runtime import cache_compiled_code, use_one_heap

if __name__ == "__main__" and sys.argv[3] == "kept":
    use_one_heap()  # before there are threads

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from worker import serve  # noqa: E402

from xumx_jax import losses  # noqa: E402
from xumx_jax.postfilters.wiener_blocks import ORIGINAL_VALUES  # noqa: E402
from xumx_jax.separation.separator import Separator  # noqa: E402
from xumx_jax.stems import Stems  # noqa: E402
from xumx_jax.transforms.slicq import SliCQ  # noqa: E402
from xumx_jax.weights.load import load_module  # noqa: E402


def load(folder: Path):
    """The module, and its variables on the device."""
    module, variables, _ = load_module(folder / "weights.safetensors")
    return module, jax.tree.map(jnp.asarray, variables)


def read(folder: Path, name: str):
    return jnp.asarray(np.load(folder / f"{name}.npy"))


def plan_of(folder: Path) -> SliCQ:
    scale, bins, low_hz = json.loads((folder / "options.json").read_text())["transform"]
    return SliCQ(scale, bins, low_hz)


def forward(folder: Path):
    return [plan_of(folder).analyse], read(folder, "mix"), ()


def transform(folder: Path):
    """Two programs, since whoever uses it computes something between them."""
    plan, mix = plan_of(folder), read(folder, "mix")
    return [plan.analyse, lambda values: plan.synthesise(values, mix.shape[-1])], mix, ()


def v2(folder: Path, **options):
    """From waveform to waveform."""
    module, variables = load(folder)
    module = module.clone(**options)

    def separate(given):
        variables, mix = given
        return module.apply(variables, mix).wave

    return [separate], (variables, read(folder, "mix")), module.sources


def v2_windows(folder: Path):
    return v2(folder, window=ORIGINAL_VALUES)


def v1(folder: Path):
    """From coefficients to coefficients."""
    module, variables = load(folder)

    def separate(given):
        variables, mix = given
        return module.apply(variables, mix, method="estimates")[0]

    return [separate], (variables, read(folder, "coefficients")), module.sources


def v1_train(folder: Path):
    """As in `slicq_torch.py`; a training step needs gradients and statistics: they are results."""
    module, variables = load(folder)
    plan = module.transform
    measure = losses.build("mse", plan)

    def step(given):
        variables, stems = given
        mix, truth = stems.sum(1), Stems(stems, plan.forward(stems))

        def loss(params):
            changed = {**variables, "params": params}
            found, now = module.apply(changed, mix, True, mutable=["batch_stats"])
            return measure(found, truth, mix)[0], now

        (value, now), gradients = jax.value_and_grad(loss, has_aux=True)(variables["params"])
        squares = [jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(gradients)]
        return jnp.stack([value, jnp.sqrt(sum(squares))]), gradients, now

    return [step], (variables, read(folder, "stems")), ()


TASKS = {
    "forward": forward,
    "transform": transform,
    "v2": v2,
    "v2_windows": v2_windows,
    "v1": v1,
    "v1_train": v1_train,
}


def array_of(result) -> np.ndarray:
    """Of a training step the loss and the gradient's norm."""
    return np.asarray(result[0] if isinstance(result, tuple) else result)


def serve_task(folder: Path, task: str) -> None:
    """One result after the other; the seconds of compiling are those of the processor."""
    functions, first, sources = TASKS[task](folder)
    programs, given, compiled = [], first, 0.0
    for function in functions:
        begin = time.process_time()
        programs.append(jax.jit(function).lower(given).compile())
        compiled += time.process_time() - begin
        if function is not functions[-1]:
            given = jax.eval_shape(function, given)

    def run():
        value = first
        for program in programs:
            value = program(value)
        return jax.block_until_ready(value)

    serve(run, saved=array_of, version=jax.__version__, sources=list(sources), compiled=compiled)


def serve_track(folder: Path, minutes: float) -> None:
    """Separate so many minutes of noise that no file holds; the result is how many came back."""
    separator = Separator(*load(folder))
    length = round(minutes * 60 * separator.rate)

    def blocks():
        draw = np.random.default_rng(0)
        for start in range(0, length, separator.rate):
            shape = 2, min(separator.rate, length - start)
            yield 0.1 * draw.standard_normal(shape, dtype=np.float32)

    def run():
        parts = separator.stream(blocks(), separator.rate, length)
        return sum(next(iter(part.values())).shape[-1] for part in parts)

    serve(run, version=jax.__version__, samples=length)


def main(folder: Path, task: str, heap: str, minutes: str = "0") -> None:
    cache_compiled_code()
    if task == "memory":
        serve_track(folder, float(minutes))
    else:
        serve_task(folder, task)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
