"""A data set in memory and a config of a tiny network, for the tests of training."""

from contextlib import contextmanager
from functools import partial
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from configs import common, xumx
from configs.common import defaults
from xumx_jax.training import loop
from xumx_jax.training.batches import Data, Examples, Pieces
from xumx_jax.weights import store

RATE = 8000
run = partial(loop.run, defaults=defaults("xumx"))
TINY = {
    "sample_rate": RATE, "hidden_size": 8, "n_fft": 64, "hop": 16, "dropout": 0.4, "layers": 2,
    "bandwidth_hz": 4000.0,
}  # fmt: skip


def stems(size: int = 4, samples: int = 800, seed: int = 0) -> np.ndarray:
    """Stems that differ in colour, so that a network can tell them apart."""
    rng = np.random.default_rng(seed)
    time = np.arange(samples) / samples
    waves = rng.normal(size=(size, 4, 2, samples)) * 0.02
    for source, turns in enumerate((9, 40, 120, 300)):
        waves[:, source] += 0.2 * np.sin(
            2 * np.pi * (turns * time + rng.uniform(size=(size, 1, 1)))
        )
    return waves.astype(np.float32)


def examples(size: int = 4, samples: int = 800, seed: int = 0) -> Examples:
    """A batch as a loader makes it: 16 bit, with gains and swaps to be done."""
    rng = np.random.default_rng(seed)
    integers = np.round(stems(size, samples, seed) * 32767).astype(np.int16)
    gain = rng.uniform(0.25, 1.25, (size, 4)).astype(np.float32)
    return Examples(integers.swapaxes(2, 3).copy(), gain, rng.uniform(size=(size, 4)) < 0.5)


def data(batch: int = 4, spoil=lambda batches: batches, valid=True, **changes) -> Data:
    """Batches numbered by their first example; two validation tracks of one piece each.

    `valid` False: none; or a function in place of the validation's. `spoil` gets the batches.
    """

    @contextmanager
    def train(first, _):
        yield spoil(examples(batch, seed=index) for index in range(first // batch, 10**6))

    def pieces():
        waves = stems(4, seed=10**6 + 1)
        if valid is not False:
            yield Pieces(waves, waves.sum(1), np.array([1, 1, 0, 0], np.float32))

    def example():
        return (stems(1, seed=3)[0], stems(1, seed=3)[0].sum(0)) if valid else None

    if callable(valid):
        pieces = valid
    made = Data(train, pieces, lambda: iter(stems(2).sum(1)), 2, "digest", "00", None, example)
    return made._replace(**changes)


def config(**train) -> ConfigDict:
    """The X-UMX recipe for a network of nothing, two steps an epoch."""
    made = xumx.get_config()
    made.model.args.update(TINY)
    made.train.update({"batch_size": 4, "steps_per_epoch": 2, "epochs": 3} | train)
    made.log.pictures_every = 0
    return made


def without_batch_norm() -> ConfigDict:
    """A recipe whose batches can be computed in parts: three epochs of four steps."""
    from toy_models import ARGUMENTS  # computes, which processes may only once they are joined

    made = common.base("rel_tdemucs")
    sources = ("bass", "drums", "vocals", "other")
    made.model.args.update(ARGUMENTS["rel_tdemucs"] | {"sources": sources})
    made.loss.name, made.log.pictures_every = "l1", 0
    made.train.update({"batch_size": 4, "steps_per_epoch": 4, "epochs": 3, "seconds": 0.1})
    made.train.update({"valid_seconds": 0.1, "save_steps": 2, "keep": 99, "micro_batch": 1})
    return made


def quiet(_):
    pass


def arrays(folder: Path) -> dict:
    return {name: store.read(folder, name) for name in ("model", "optimizer")}


def check_equal(one: Path, other: Path) -> None:
    """Two workdirs end bit for bit alike, in arrays and in progress."""
    ends = [store.newest(folder) for folder in (one, other)]
    jax.tree.map(np.testing.assert_array_equal, *map(arrays, ends))
    progress = [store.describe(end)["info"]["progress"] for end in ends]
    assert progress[0] == progress[1] and ends[0].name == ends[1].name
    best = [arrays_of_best(folder) for folder in (one, other)]
    jax.tree.map(np.testing.assert_array_equal, *best)


def arrays_of_best(workdir: Path) -> dict:
    return store.read(workdir / "best", "model")
