"""Our side of `accelerator.py`, one model and one task: see there for its command line."""

import time
from dataclasses import replace

BEGIN = time.perf_counter()

import jax  # noqa: E402
import numpy as np  # noqa: E402
from accelerator import ROWS, Row, Size, arguments_of_side, music, steps_of  # noqa: E402
from train_jax import adapter, device_mib  # noqa: E402
from worker import serve  # noqa: E402

from xumx_jax.models import build  # noqa: E402
from xumx_jax.models.interface import TRAINING_FIELDS, optional, variable_shapes  # noqa: E402
from xumx_jax.separation.separator import Separator  # noqa: E402
from xumx_jax.training.step import AXIS  # noqa: E402
from xumx_jax.weights.load import load_module  # noqa: E402


def model_of(row: Row, quick: bool):
    """(module, variables): bundled weights, or random ones of order one."""
    if row.model == "demo":
        return load_module("demo")[:2]
    module = build(row.model, **row.args | (row.quick if quick else {}))
    draw = np.random.default_rng(0)

    def one(path, leaf):
        if path[-1].key in ("scale", "var"):
            return draw.uniform(0.5, 1.5, leaf.shape).astype(np.float32)
        width = leaf.shape[-2] if leaf.ndim > 1 else 10
        return (draw.standard_normal(leaf.shape) / np.sqrt(width)).astype(np.float32)

    return module, jax.tree_util.tree_map_with_path(one, variable_shapes(module))


def fitted(module, size: Size) -> Size:
    """The same with examples of a length that the model takes."""
    samples = module.segment.chunk(size.seconds * module.sample_rate)
    return replace(size, seconds=samples / module.sample_rate)


def separating(row, module, variables, size):
    plain = {} if optional(module, "post_filter") is None else {"niter": 0}
    separator = Separator(module, variables, **plain)
    track = music("separate", module.sample_rate, size, channels=module.channels)
    return lambda: separator(track, module.sample_rate)


def training(row, module, variables, size):
    options = row.options | {name: getattr(module, name) for name in row.fields}
    stems = music("train", module.sample_rate, size, len(module.sources), module.channels)
    wanted = zip(TRAINING_FIELDS, (AXIS, "float32"), strict=True)
    module = module.clone(**{name: value for name, value in wanted if hasattr(module, name)})
    advance, now, _ = adapter(module, variables, stems, row.loss, **options)

    def run():
        nonlocal now
        for _ in range(steps_of("train", size)):
            now, values = advance(now)
        jax.block_until_ready(now)
        if not np.isfinite(values["loss"]):
            raise SystemExit("the loss is not finite")

    return run


def main() -> None:
    name, task, _, quick, size = arguments_of_side()
    row = ROWS[name]
    make = {"separate": separating, "train": training}[task]
    module, variables = model_of(row, quick)
    size = fitted(module, size)
    run = make(row, module, variables, size)
    facts = {"device": jax.devices()[0].device_kind, "version": jax.__version__}
    facts["music"] = size.audio_seconds(task)
    serve(run, device_mib=device_mib, prepared=time.perf_counter() - BEGIN, **facts)


if __name__ == "__main__":
    main()
