"""Write what lies beside this file: PYTHONPATH=.:tests python tests/earlier/make.py FOLDER

The files in the repository were written by its commit 4ea1539, before files of weights and
checkpoints carried a format number; later commits have to read them and resume from them.

    run, run_average   folders of training runs, stopped after one of their two epochs
    xumx.safetensors, bands.safetensors, xumx   weights, in a file and in a folder
    after.npz          the weights that both runs end with, and stems of both files
"""

import shutil
import sys
from pathlib import Path

import jax
import numpy as np
import runs

from xumx_jax import checkpoint, load, models
from xumx_jax.training.run import run
from xumx_jax.transforms.scales import band_edges

TINY = {"hidden_size": 4, "layers": 1, "n_fft": 32, "hop": 8, "sample_rate": 8000}
BANDS = {"bands": band_edges(4000, 16, 1000.0, 6, 1800.0), "activation": "softmax"}


def config(average: float, epochs: int):
    made = runs.config(average=average, epochs=epochs)
    made.model.args.update({key: TINY[key] for key in ("hidden_size", "layers", "n_fft", "hop")})
    return made


def trained(folder: Path, average: float, after: dict) -> None:
    """Train one epoch into `folder`, and a second one elsewhere."""
    run(config(average, 1), folder, runs.data(), print)
    shutil.copytree(folder, again := folder.with_name(f"{folder.name}_again"))
    run(config(average, 2), again, runs.data(), print)
    end = checkpoint.load_model(again)
    for path, leaf in jax.tree_util.tree_leaves_with_path(end.variables):
        after[f"{folder.name}{jax.tree_util.keystr(path)}"] = leaf
    shutil.rmtree(again)
    for name in ("metrics.jsonl", ".lock", "tensorboard"):
        place = folder / name
        shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)


def weights(path: Path, info: dict, **args) -> None:
    args = {**TINY, "bandwidth_hz": 3000.0, **args}
    module = models.build("xumx", **args)
    variables = jax.jit(module.init)(jax.random.key(0), np.zeros((1, 2, 64), np.float32))
    checkpoint.save_model(path, "xumx", args, jax.device_get(variables), info)


def main(folder: Path) -> None:
    after: dict = {}
    trained(folder / "run", 0.0, after)
    trained(folder / "run_average", 0.9, after)
    weights(folder / "xumx.safetensors", {"licence": "MIT"})
    weights(folder / "xumx", {"licence": "MIT"})
    half = {"sample_rate": 4000, "n_fft": 16, "hop": 4}
    export = {key: TINY[key] for key in half}
    weights(folder / "bands.safetensors", {"export": export}, **half, **BANDS)
    mix = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 4000)).astype(np.float32)
    for name in ("xumx", "bands"):
        for source, wave in load(folder / f"{name}.safetensors")(mix, 8000).items():
            after[f"{name}/{source}"] = wave
    np.savez_compressed(folder / "after.npz", **after)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
